"""Retraining over HTTP, with a real worker on a tiny network."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.retraining import worker_process
from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from catdog.versions.store import Store
from tests.app.service import ADMIN, Service, serving
from tests.app.web.test_problem_details import check
from tests.photos import draw_set
from tests.training.fitting.wrong_weights import WRONG
from tests.waiting import until
from training.data import service_datasets
from training.fitting.config import Config
from training.fitting.observer import Terminal
from training.publishing.pipeline import Request, train

PETS = {"dataset": "pets"}
pytestmark = pytest.mark.usefixtures("no_https")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, split_photos: Path) -> Path:
    """A folder with a store of one version, which tells red from green."""
    folder = tmp_path_factory.mktemp("learned")
    config = Config(backbone="random", width=1 / 32)
    train(Request(config, split_photos, command=""), Store(folder / "models"), folder / "data", Terminal())
    return folder


@pytest.fixture
def taught(tmp_path: Path, learned: Path, split_photos: Path) -> Iterator[Service]:
    """A service on that version, with the data set "pets", and workers of its own."""
    shutil.copytree(learned, tmp_path, dirs_exist_ok=True)
    with waiting(tmp_path, split_photos, worker="process") as service:
        yield service


@contextmanager
def waiting(folder: Path, photos: Path, models_dir: Path | None = None, **settings: Any) -> Iterator[Service]:
    with serving(models_dir or folder / "models", data_dir=folder / "data", **settings) as service:
        service_datasets.import_folder(photos, service.app.state.database.datasets, "pets")
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        yield service


def jobs(service: Service) -> Jobs:
    queue: Jobs = service.app.state.database.jobs
    return queue


def ended(service: Service, job: str) -> dict[str, Any]:
    until(lambda: Status(service.client.get(f"/retrain/{job}").json()["status"]).is_final)
    found: dict[str, Any] = service.client.get(f"/retrain/{job}").json()
    return found


def events(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    found = re.findall(r"id: (\d+)\nevent: (\w+)\ndata: (.*)\n\n", text)
    return [(int(number), kind, json.loads(data)) for number, kind, data in found]


def test_a_retraining_goes_live_and_can_be_rolled_back(taught: Service, jpeg: bytes) -> None:
    asked = taught.client.post("/retrain", json=PETS)
    assert (asked.status_code, asked.headers["Location"]) == (202, f"/retrain/{asked.json()['id']}")
    assert asked.json()["status"] == "queued"

    told = events(taught.client.get(asked.headers["Location"] + "/events").text)
    assert [data["status"] for _, kind, data in told if kind == "status"] == ["queued", "running", "succeeded"]
    middle = told[len(told) // 2][0]
    rest = taught.client.get("/retrain/latest/events", headers={"Last-Event-ID": str(middle)}).text
    assert events(rest) == [event for event in told if event[0] > middle]

    done = taught.client.get("/retrain/latest").json()
    assert (done["status"], done["version"], done["progress"]) == ("succeeded", 2, 1.0)
    assert done["decision"]["promoted"]
    assert "photos examined" in taught.client.get("/retrain/latest/log").text

    assert taught.client.get("/model").json()["version"] == 2, "as soon as the events end"
    assert taught.client.post("/predict", files={"file": jpeg}).json()["model_version"] == 2
    assert taught.client.get("/models/2").json()["training"]["job"] == done["id"]
    assert taught.client.post("/rollback").is_success
    assert taught.client.post("/predict", files={"file": jpeg}).json()["model_version"] == 1


@pytest.mark.whole
def test_a_training_starts_from_the_backbone_that_is_asked_for_and_says_so(
    tmp_path: Path, taught: Service, split_photos: Path
) -> None:
    """By default the champion's; ImageNet's from the file in the setting, which doesn't exist."""
    auto = ended(taught, taught.client.post("/retrain", json={**PETS, "promote": "never"}).json()["id"])
    with waiting(
        tmp_path / "other", split_photos, tmp_path / "models", imagenet_weights=tmp_path / "nowhere.h5"
    ) as service:
        asked = {**PETS, "backbone": "imagenet"}
        imagenet = ended(service, service.client.post("/retrain", json=asked).json()["id"])

    line = "the backbone is the champion's, because the classes are its own (version 1: cat, dog)"
    assert (auto["status"], auto["backbone"], auto["request"]["backbone"]) == ("succeeded", line, "auto")
    assert (imagenet["status"], imagenet["backbone"]) == ("failed", None)
    assert imagenet["reason"].startswith("CATDOG_IMAGENET_WEIGHTS names nowhere.h5, but there is no such file")


def test_other_classes_need_imagenets_backbone_and_are_trained_on_another_only_if_asked(
    taught: Service, tmp_path: Path
) -> None:
    service_datasets.import_folder(
        draw_set(tmp_path / "fish", 20, ("cat", "fish")), taught.app.state.database.datasets, "fish"
    )
    asked = {"dataset": "fish", "promote": "never"}

    offline, champion = (
        ended(taught, taught.client.post("/retrain", json=request).json()["id"])
        for request in (asked, {**asked, "backbone": "champion"})
    )

    assert (offline["status"], offline["version"]) == ("failed", None)
    assert offline["backbone"] == (
        "the backbone is ImageNet's VGG16, because the classes aren't those of the champion (version 1: cat, dog)"
    )
    for part in (
        "https://",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "data folder",
        '"backbone": "champion"',
    ):
        assert part in offline["reason"]
    assert (champion["status"], champion["version"], champion["backbone"]) == ("succeeded", 2, None)
    assert taught.client.get("/models/2").json()["classes"] == ["cat", "fish"]


@pytest.mark.whole
def test_a_job_says_as_plainly_what_is_wrong_with_the_weights_that_the_setting_names(
    tmp_path: Path, models_dir: Path, split_photos: Path
) -> None:
    file = tmp_path / "theirs.h5"
    with waiting(tmp_path, split_photos, models_dir, imagenet_weights=file, worker="process") as service:
        for write, said in WRONG.items():
            write(file)

            job = ended(service, service.client.post("/retrain", json={**PETS, "backbone": "imagenet"}).json()["id"])

            assert (job["status"], job["version"], job["findings"]) == ("failed", None, None), write.__name__
            assert job["reason"].startswith("theirs.h5: ")
            assert all(part in job["reason"] for part in said), job["reason"]
            assert str(tmp_path) not in job["reason"]


@pytest.mark.whole
def test_a_worker_that_is_killed_is_followed_by_another(taught: Service) -> None:
    job = taught.client.post("/retrain", json=PETS).json()["id"]
    until(lambda: bool(jobs(taught).running()))

    (process,) = taught.app.state.jobs._runner._processes.values()
    process.kill()

    done = ended(taught, job)
    assert (done["status"], done["attempt"]) == ("succeeded", 2)
    told = [data.get("reason") for _, kind, data in events(taught.client.get(f"/retrain/{job}/events").text)]
    assert worker_process.KILLED in told


@pytest.mark.whole
def test_a_job_can_be_cancelled_while_it_runs_and_the_next_one_runs(taught: Service, tmp_path: Path) -> None:
    job = taught.client.post("/retrain", json={**PETS, "strategy": "finetune", "epochs": 100}).json()["id"]
    until(lambda: taught.client.get(f"/retrain/{job}").json()["epoch"] is not None)

    assert taught.client.delete(f"/retrain/{job}").status_code == 202

    assert ended(taught, job)["reason"] == "cancelled while it ran"
    check(taught.client.get("/models/2"), "version-not-found", 404)

    following = taught.client.post("/retrain", json=PETS).json()["id"]
    assert [path.name for path in (tmp_path / "data" / "jobs").iterdir() if path.is_dir()] in ([], [following])
    done = ended(taught, following)
    assert (done["status"], done["attempt"], done["version"]) == ("succeeded", 1, 2)


@pytest.mark.whole
def test_a_service_that_ends_puts_its_job_back(taught: Service, tmp_path: Path) -> None:
    job = taught.client.post("/retrain", json={**PETS, "strategy": "finetune", "epochs": 100}).json()["id"]
    until(lambda: taught.client.get(f"/retrain/{job}").json()["epoch"] is not None)

    taught.app.state.jobs.stop()

    assert (jobs(taught).get(job).status, jobs(taught).get(job).attempts) == (Status.QUEUED, 0)
    assert (tmp_path / "data" / "jobs" / job / "state.json").exists(), "for the next worker to go on from"
    jobs(taught).cancel(job)


def test_where_training_is_not_installed_a_job_is_refused_with_what_to_do(
    tmp_path: Path, models_dir: Path, split_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "NEEDED", ("a_package_that_nobody_has",))
    with waiting(tmp_path, split_photos, models_dir, worker="process") as service:
        refused = service.client.post("/retrain", json=PETS)

    check(refused, "trainer-missing", 503)
    assert "make trainer" in refused.json()["detail"]


def test_a_job_that_waits_where_training_is_not_installed_does_not_end_the_service(
    tmp_path: Path,
    models_dir: Path,
    split_photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For example if packages were removed, or another service on the same database accepted the job."""
    monkeypatch.setattr(worker_process, "NEEDED", ("a_package_that_nobody_has",))
    with waiting(tmp_path, split_photos, models_dir, worker="process") as service:
        jobs(service).submit(PETS)

        until(lambda: "jobs can't be supervised" in caplog.text)
        assert "make trainer" in caplog.text
        assert service.client.get("/health/ready").is_success
