"""Retraining over HTTP, with a real worker on a tiny network."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import update

from app.retraining import worker_process
from app.retraining.jobs import JobService
from app.shutdown import Shutdown
from catdog.database import Database
from catdog.jobs.job import Status
from catdog.jobs.queue import WAITING, Jobs
from catdog.tables import pictures
from catdog.versions.store import Store
from tests import without_libraries
from tests.app.service import ADMIN, Service, serving
from tests.app.web.test_problem_details import check
from tests.photos import draw_set, draw_splits
from tests.training.fitting.wrong_weights import WRONG
from tests.waiting import PATIENCE_SECONDS, until
from training.data import service_datasets
from training.fitting.config import Config
from training.fitting.observer import Terminal
from training.publishing.pipeline import Request, train

PETS = {"dataset": "pets"}

pytestmark = pytest.mark.usefixtures("no_https")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_splits(tmp_path_factory.mktemp("photos"), 48, 6, 30)


@pytest.fixture
def taught(tmp_path: Path, photos: Path) -> Iterator[Service]:
    """A service on a network that tells red from green, with the data set "pets", and workers of its own."""
    config = Config(backbone="random", width=1 / 32)
    train(Request(config, photos, command=""), Store(tmp_path / "models"), tmp_path / "data", Terminal())
    with waiting(tmp_path, photos, worker="process") as service:
        yield service


@pytest.fixture
def idle(tmp_path: Path, models_dir: Path, photos: Path) -> Iterator[Service]:
    """A service with the data set "pets" and without workers."""
    with waiting(tmp_path, photos, models_dir, worker="none") as service:
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


def test_a_training_starts_from_the_backbone_that_is_asked_for_and_says_so(
    tmp_path: Path, taught: Service, photos: Path
) -> None:
    """By default the champion's; ImageNet's from the file in the setting, which doesn't exist."""
    auto = ended(taught, taught.client.post("/retrain", json={**PETS, "promote": "never"}).json()["id"])
    with waiting(tmp_path / "other", photos, tmp_path / "models", imagenet_weights=tmp_path / "nowhere.h5") as service:
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


def test_a_job_says_as_plainly_what_is_wrong_with_the_weights_that_the_setting_names(
    tmp_path: Path, models_dir: Path, photos: Path
) -> None:
    file = tmp_path / "theirs.h5"
    with waiting(tmp_path, photos, models_dir, imagenet_weights=file, worker="process") as service:
        for write, said in WRONG.items():
            write(file)

            job = ended(service, service.client.post("/retrain", json={**PETS, "backbone": "imagenet"}).json()["id"])

            assert (job["status"], job["version"], job["findings"]) == ("failed", None, None), write.__name__
            assert job["reason"].startswith("theirs.h5: ")
            assert all(part in job["reason"] for part in said), job["reason"]
            assert str(tmp_path) not in job["reason"]


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

    following = taught.client.post("/retrain", json={**PETS, "strategy": "finetune", "epochs": 1}).json()["id"]
    assert [path.name for path in (tmp_path / "data" / "jobs").iterdir() if path.is_dir()] in ([], [following])
    done = ended(taught, following)
    assert (done["status"], done["attempt"], done["version"]) == ("succeeded", 1, 2)


def test_a_service_that_ends_puts_its_job_back(taught: Service, tmp_path: Path) -> None:
    job = taught.client.post("/retrain", json={**PETS, "strategy": "finetune", "epochs": 100}).json()["id"]
    until(lambda: taught.client.get(f"/retrain/{job}").json()["epoch"] is not None)

    taught.app.state.jobs.stop()

    assert (jobs(taught).get(job).status, jobs(taught).get(job).attempts) == (Status.QUEUED, 0)
    assert (tmp_path / "data" / "jobs" / job / "state.json").exists(), "for the next worker to go on from"
    jobs(taught).cancel(job)


def with_a_worker(idle: Service) -> JobService:
    """The trainings of a service that starts none itself, with a process that runs them."""
    runner = worker_process.LocalProcess(idle.app.state.settings, worker_process.TRAINER)
    return JobService(lambda: jobs(idle), runner, Shutdown())


def test_a_worker_that_cannot_start_fails_the_job_with_what_is_known(
    idle: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    service = with_a_worker(idle)
    job = jobs(idle).submit(PETS)

    def supervised() -> bool:
        service._supervise_once()
        return jobs(idle).get(job.id).status.is_final

    until(supervised)

    assert jobs(idle).get(job.id).reason == (
        "it was tried 2 times; the last time its worker ended with exit status 1; see worker.log in the data folder"
    )


def test_a_worker_that_lacks_a_library_fails_the_job_with_what_to_do(
    idle: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {without_libraries.__file__} tqdm,threadpoolctl "$@"\n')
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    service = with_a_worker(idle)
    job = jobs(idle).submit(PETS)

    def supervised() -> bool:
        service._supervise_once()
        return jobs(idle).get(job.id).status.is_final

    until(supervised)

    assert "run `make trainer`" in (jobs(idle).get(job.id).reason or "")
    assert "Traceback" not in (tmp_path / "data" / worker_process.TRAINER.log).read_text()


def test_a_data_set_that_holds_a_class_called_unknown_from_before_is_not_trained_on(
    idle: Service, tmp_path: Path
) -> None:
    with Database.of(tmp_path / "data").writing() as connection:
        connection.execute(update(pictures).where(pictures.c.label == "dog").values(label="Unknown"))

    answer = idle.client.post("/retrain", json=PETS)

    check(answer, "unusable-dataset", 422)
    assert "reserved for photos that are like none of the classes" in answer.json()["detail"]


def test_the_same_request_sent_twice_is_one_job(idle: Service) -> None:
    key = {"Idempotency-Key": "one"}

    first, second = (idle.client.post("/retrain", json=PETS, headers=key).json()["id"] for _ in range(2))

    assert first == second
    check(idle.client.post("/retrain", json={**PETS, "notes": "x"}, headers=key), "key-reused", 422)
    assert len(idle.client.get("/retrain").json()["jobs"]) == 1


def test_the_number_of_queued_jobs_is_limited(idle: Service) -> None:
    for _ in range(WAITING):
        assert idle.client.post("/retrain", json=PETS).status_code == 202

    refused = idle.client.post("/retrain", json=PETS)

    check(refused, "queue-full", 429)
    assert int(refused.headers["Retry-After"]) > 0


def test_a_job_that_waits_is_cancelled_at_once_and_only_once(idle: Service) -> None:
    job = idle.client.post("/retrain", json=PETS).json()["id"]

    assert idle.client.delete(f"/retrain/{job}").json()["status"] == "cancelled"
    assert idle.client.delete(f"/retrain/{job}").json()["status"] == "cancelled"
    assert events(idle.client.get(f"/retrain/{job}/events").text)[-1][2]["reason"] == "cancelled before it ran"


@pytest.mark.parametrize(
    ("request_", "name", "status"),
    [
        ({}, "invalid-request", 422),
        ({"dataset": "../pets"}, "invalid-request", 422),
        ({**PETS, "strategy": "full"}, "invalid-request", 422),
        ({**PETS, "epochs": 3}, "invalid-request", 422),
        ({**PETS, "strategy": "finetune", "epochs": 0}, "invalid-request", 422),
        ({**PETS, "strategy": "finetune", "epochs": 10**9}, "invalid-request", 422),
        ({**PETS, "promote": "always"}, "invalid-request", 422),
        ({**PETS, "backbone": "random"}, "invalid-request", 422),
        ({**PETS, "backbone": "/etc/passwd"}, "invalid-request", 422),
        ({**PETS, "backbone": None}, "invalid-request", 422),
        ({**PETS, "notes": "x" * 501}, "invalid-request", 422),
        ({**PETS, "command": "rm -rf /"}, "invalid-request", 422),
        ({"dataset": "nowhere"}, "dataset-not-found", 404),
        ({"dataset": "cats"}, "unusable-dataset", 422),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_at_once(
    idle: Service, photos: Path, tmp_path: Path, request_: dict[str, object], name: str, status: int
) -> None:
    draw_set(tmp_path / "cats", 3, ("cat",))
    service_datasets.import_folder(tmp_path / "cats", idle.app.state.database.datasets, "cats")

    check(idle.client.post("/retrain", json=request_), name, status)
    assert idle.client.get("/retrain").json() == {"jobs": []}


@pytest.mark.parametrize(
    ("body", "content_type", "name", "status"),
    [
        (b"{", "application/json", "invalid-request", 422),
        (b"\xff", "application/json", "invalid-request", 422),
        (b"dataset=pets", "application/x-www-form-urlencoded", "unsupported-content-type", 415),
        (b" " * 100_000, "application/json", "too-large", 413),
    ],
)
def test_a_body_that_is_no_request_is_refused(
    idle: Service, body: bytes, content_type: str, name: str, status: int
) -> None:
    check(idle.client.post("/retrain", content=body, headers={"Content-Type": content_type}), name, status)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "dataset: Field required"),
        (
            {**PETS, "epochs": 3},
            "epochs is for the strategy finetune or compress; leave it out, or choose that strategy",
        ),
        (
            {**PETS, "strategy": "finetune", "width": 0.5},
            "width is for the strategy compress; leave it out, or choose that strategy",
        ),
        (
            {**PETS, "strategy": "compress", "width": 0.5, "target_macs": 0.1},
            "width and target_macs exclude each other; leave one of them out",
        ),
        (
            {**PETS, "strategy": "compress", "backbone": "imagenet"},
            "compress starts from the champion; leave backbone out",
        ),
        ([], "the body: Input should be an object"),
    ],
)
def test_a_request_that_is_refused_names_the_field_and_shows_one_that_can_be_sent(
    idle: Service, asked: object, says: str
) -> None:
    detail = idle.client.post("/retrain", json=asked).json()["detail"]
    fault, _, example = detail.partition("; send JSON such as ")

    assert fault == says
    assert idle.client.post("/retrain", json=json.loads(example)).status_code == 202


def test_an_unknown_job_is_not_found(idle: Service) -> None:
    for method, path in (("GET", ""), ("GET", "/events"), ("GET", "/log"), ("DELETE", "")):
        for job in ("latest", "0" * 32):
            check(idle.client.request(method, f"/retrain/{job}{path}"), "job-not-found", 404)


def test_where_training_is_not_installed_a_job_is_refused_with_what_to_do(
    tmp_path: Path, models_dir: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "NEEDED", ("a_package_that_nobody_has",))
    with waiting(tmp_path, photos, models_dir, worker="process") as service:
        refused = service.client.post("/retrain", json=PETS)

    check(refused, "trainer-missing", 503)
    assert "make trainer" in refused.json()["detail"]


def test_a_job_that_waits_where_training_is_not_installed_does_not_end_the_service(
    tmp_path: Path, models_dir: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """For example if packages were removed, or another service on the same database accepted the job."""
    monkeypatch.setattr(worker_process, "NEEDED", ("a_package_that_nobody_has",))
    with waiting(tmp_path, photos, models_dir, worker="process") as service:
        jobs(service).submit(PETS)

        until(lambda: "jobs can't be supervised" in caplog.text)
        assert "make trainer" in caplog.text
        assert service.client.get("/health/ready").is_success


def test_who_watches_does_not_hold_the_shutdown_up(idle: Service) -> None:
    job = idle.client.post("/retrain", json=PETS).json()["id"]

    with idle.client.stream("GET", f"/retrain/{job}/events") as watched:
        idle.app.state.shutdown.is_leaving = True
        assert len(events(watched.read().decode())) == 1
    idle.app.state.shutdown.is_leaving = False


@pytest.mark.parametrize(
    "digits", ["", "0", "00001", "2147483648", "9223372036854775808", "9" * 5000, "0" * 5000 + "1"]
)
def test_events_go_on_behind_any_number(idle: Service, digits: str) -> None:
    job = idle.client.post("/retrain", json=PETS).json()["id"]
    idle.client.delete(f"/retrain/{job}")
    told = events(idle.client.get(f"/retrain/{job}/events").text)

    rest = idle.client.get(f"/retrain/{job}/events", headers={"Last-Event-ID": digits})

    after = min(int(digits[-4000:] or 0), 2**31)
    assert rest.status_code == 200
    assert events(rest.text) == [event for event in told if event[0] > after]


@pytest.mark.parametrize("text", ["latest", "-1", "1.5", "1 or 1=1"])
def test_events_behind_what_is_no_number_are_refused(idle: Service, text: str) -> None:
    job = idle.client.post("/retrain", json=PETS).json()["id"]

    check(idle.client.get(f"/retrain/{job}/events", headers={"Last-Event-ID": text}), "invalid-request", 422)


def test_the_number_of_event_streams_is_limited(idle: Service) -> None:
    job = idle.client.post("/retrain", json=PETS).json()["id"]
    watchers = idle.app.state.jobs.watchers
    watchers.limit = 1

    with idle.client.stream("GET", f"/retrain/{job}/events") as watched:
        assert watched.status_code == 200
        refused = idle.client.get(f"/retrain/{job}/events")
        check(refused, "overloaded", 503)
        assert int(refused.headers["Retry-After"]) > 0
    until(lambda: watchers.taken == 0)

    idle.client.delete(f"/retrain/{job}")
    assert idle.client.get(f"/retrain/{job}/events").status_code == 200


def test_who_watches_goes_on_when_the_database_answers_again(idle: Service) -> None:
    job = idle.client.post("/retrain", json=PETS).json()["id"]
    database = idle.app.state.database._open()

    with idle.client.stream("GET", f"/retrain/{job}/events") as watched:
        chunks = watched.iter_text()
        told = next(chunks)
        database._spared = monotonic() + PATIENCE_SECONDS, "it doesn't answer"
        check(idle.client.get(f"/retrain/{job}"), "database-unavailable", 503)
        database._spared = 0.0, ""
        idle.client.delete(f"/retrain/{job}")
        told += "".join(chunks)

    assert [data["status"] for _, _, data in events(told)] == ["queued", "cancelled"]
