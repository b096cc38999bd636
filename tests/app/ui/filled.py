"""A service with something to show in every view of the page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from catdog.versions.measurements import Metrics
from catdog.versions.same_photos import DifferentAnswer, DifferentPhoto, SamePhotos
from tests.app.api.test_datasets import picture, zipped
from tests.app.service import ADMIN, Service, encoded, publish, serving
from tests.app.ui.teach.test_outcome import KEPT_OUT
from tests.waiting import until

LONG = "a_rather_long_file_name_of_a_photo_without_any_space_in_it_as_cameras_make_them_0123456789.jpg"


@contextmanager
def filled_service(folder: Path) -> Iterator[Service]:
    """A service with pictures, a training that was not promoted, versions, and photos to review."""
    publish(folder / "models")
    with serving(folder / "models", data_dir=folder / "data", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        members = {
            f"{label}/{n}.png": picture(n + 100 * (label == "dog")) for label in ("cat", "dog") for n in range(9)
        }
        service.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()
        finish_training(service, folder / "models")
        finish_comparison(service)
        service.client.post("/predict", content=picture(1)).raise_for_status()
        yield service


def finish_comparison(service: Service) -> None:
    """A comparison of both versions, which differ on one photo."""
    comparisons: Jobs = service.app.state.database.comparisons
    comparisons.submit({"versions": [2, 1], "dataset": "pets", "split": "test"})
    lease = comparisons.claim("the test")
    assert lease is not None
    shares = {"cat": 0.5, "dog": 0.5}
    metrics = Metrics(
        photos=2,
        accuracy=0.5,
        accuracy_low=0.1,
        accuracy_high=0.9,
        log_loss=0.7,
        calibration_error=0.1,
        precision=shares,
        recall=shares,
        data="the test photos of pets",
    )
    answers = DifferentAnswer(label="cat", probability=0.9), DifferentAnswer(label="dog", probability=0.8)
    photo = DifferentPhoto(sha256="0" * 64, name=LONG, label="cat", answers=answers)
    found = SamePhotos(
        classes=["cat", "dog"],
        photos=2,
        left_out=1,
        unreadable=1,
        doubtful=[1],
        metrics=(metrics, metrics),
        only_first=1,
        only_second=0,
        difference=0.5,
        difference_low=-0.4,
        difference_high=0.9,
        chance=1.0,
        different=1,
    )
    findings = [{"kind": "different", "sentence": "", "count": 1, "photos": [photo.model_dump(mode="json")]}]
    lease.end(Status.SUCCEEDED, "compared", decision=found.model_dump(mode="json"), findings=findings)


def finish_training(service: Service, models_dir: Path) -> None:
    """A training with findings and epochs, whose version is not promoted and has figures."""
    jobs: Jobs = service.app.state.database.jobs
    jobs.submit({"dataset": "pets", "strategy": "finetune", "promote": "auto"})
    lease = jobs.claim("the test")
    assert lease is not None
    photo = {"name": LONG, "label": "cat", "split": "train", "sha256": "0" * 64, "picture": 1, "note": "dog 97.0%"}
    finding = {"kind": "likely-mislabel", "sentence": f"1 photo: look at {LONG}", "photos": [photo], "count": 1}
    lease.report("findings", {"findings": 1}, findings=[finding])
    for number in (1, 2):
        metrics = {"log_loss": 0.9, "val_log_loss": 1.1, "accuracy": 0.5, "val_accuracy": 0.5}
        lease.report("epoch", {"epoch": number, "epochs": 2, **metrics})
    number = publish(models_dir, seed=8, decision=KEPT_OUT)
    figure = models_dir / str(number) / "report" / "confusion-matrix.png"
    figure.write_bytes(encoded(Image.new("RGB", (900, 700), "teal"), "PNG"))
    decision = {**KEPT_OUT.model_dump(mode="json"), "promoted": False}
    lease.end(Status.SUCCEEDED, KEPT_OUT.reason, version=number, decision=decision)
