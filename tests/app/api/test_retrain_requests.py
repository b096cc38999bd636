"""Requests for trainings are queued or refused, and their events are watched, while no worker runs."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import update

from app.retraining import worker_process
from app.retraining.jobs import JobService
from app.shutdown import Shutdown
from catdog.database import Database
from catdog.jobs.job import Job
from catdog.jobs.queue import WAITING
from catdog.tables import pictures
from tests import without_libraries
from tests.app.api.test_retrain import PETS, events, jobs, waiting
from tests.app.service import Service
from tests.app.web.test_problem_details import check
from tests.photos import draw_set
from tests.waiting import PATIENCE_SECONDS, until
from training.data import service_datasets

pytestmark = pytest.mark.usefixtures("no_https")


@pytest.fixture
def idle(tmp_path: Path, models_dir: Path, split_photos: Path) -> Iterator[Service]:
    """A service with the data set "pets" and without workers."""
    with waiting(tmp_path, split_photos, models_dir, worker="none") as service:
        yield service


def with_a_worker(idle: Service) -> JobService:
    """The trainings of a service that starts none itself, with a process that runs them."""
    runner = worker_process.LocalProcess(idle.app.state.settings, worker_process.TRAINER)
    return JobService(lambda: jobs(idle), runner, Shutdown())


def supervised_to_its_end(idle: Service) -> Job:
    """A job whose worker is started, and started again, until the job has ended."""
    service = with_a_worker(idle)
    job = jobs(idle).submit(PETS)

    def supervised() -> bool:
        service._supervise_once()
        return jobs(idle).get(job.id).status.is_final

    until(supervised)
    return jobs(idle).get(job.id)


def test_a_worker_that_cannot_start_fails_the_job_with_what_is_known(
    idle: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    job = supervised_to_its_end(idle)

    assert job.reason == (
        "it was tried 2 times; the last time its worker ended with exit status 1; see worker.log in the data folder"
    )


def test_a_worker_that_lacks_a_library_fails_the_job_with_what_to_do(
    idle: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {without_libraries.__file__} tqdm,threadpoolctl "$@"\n')
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    job = supervised_to_its_end(idle)

    assert "run `make trainer`" in (job.reason or "")
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
    idle: Service, tmp_path: Path, request_: dict[str, object], name: str, status: int
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
