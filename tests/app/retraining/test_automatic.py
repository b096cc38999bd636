"""Trainings that start by themselves, by a policy, however many processes look."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from time import time
from typing import Any

import anyio
import pytest

from app.api.jobs.job_schemas import RetrainRequest
from app.retraining.automatic import AutomaticRetraining
from app.retraining.database import ServiceDatabase
from app.retraining.datasets import DatasetService
from app.retraining.jobs import JobService
from app.settings import Settings
from app.shutdown import Shutdown
from catdog.jobs.job import Job, Status
from catdog.policy import drift_record
from catdog.policy.drift_record import ENDS_SECONDS, DriftRecord
from catdog.policy.rules import HOUR_SECONDS
from catdog.versions.store import Store
from tests.app.api.test_datasets import picture, zipped
from tests.app.api.test_retrain import ended, waiting
from tests.app.service import Service
from tests.photos import draw, draw_splits
from tests.waiting import until
from training.fitting.config import Config
from training.fitting.observer import Terminal
from training.publishing.pipeline import Request, train


def label(service: Service, count: int, first: int = 0) -> None:
    """Add so many labelled pictures, of both classes."""
    members = {f"{('cat', 'dog')[n % 2]}/{n}.png": picture(n) for n in range(first, first + count)}
    service.client.post("/datasets/pets/archive", files={"file": zipped(members)}).raise_for_status()


def automatic(service: Service, policy: Mapping[str, Any], later: float = 0) -> AutomaticRetraining:
    """A process of a service with that policy and its own connections, whose clock is so many seconds ahead."""
    settings: Settings = service.app.state.settings.model_copy(update=policy)
    records = ServiceDatabase(settings)
    jobs = JobService(lambda: records.jobs, None, Shutdown())
    datasets = DatasetService(records, service.predictor.uploads)
    return AutomaticRetraining(settings, records, jobs, datasets, service.predictor, lambda: time() + later)


def look(*processes: AutomaticRetraining) -> None:
    """All of them look at the same time."""

    async def together() -> None:
        async with anyio.create_task_group() as tasks:
            for process in processes:
                tasks.start_soon(process.look)

    anyio.run(together)


def newest(service: Service) -> list[Job]:
    found: list[Job] = service.app.state.database.jobs.newest(9)
    return found


def run_next(service: Service) -> None:
    """End the job that waits, as a worker would."""
    lease = service.app.state.database.jobs.claim("the test")
    lease.end(Status.FAILED, "the test ended it")


@pytest.fixture
def taught(tmp_path: Path) -> Iterator[Service]:
    """A service on a network that tells red from green, which trains after five labels, at any time."""
    photos = draw_splits(tmp_path / "photos", 48, 6, 30)
    config = Config(backbone="random", width=1 / 32)
    train(Request(config, photos, command=""), Store(tmp_path / "models"), tmp_path / "data", Terminal())
    policy: dict[str, Any] = {"retrain_after_labels": 5, "retrain_at_most_every": 0}
    with waiting(tmp_path, photos, worker="process", **policy) as service:
        yield service


def give_feedback(service: Service, kind: str, seed: int, folder: Path) -> None:
    """Ask about a new photo, and say what it shows."""
    draw(photo := folder / f"{seed}.png", kind, seed)
    asked = service.client.post("/predict", files={"file": photo.read_bytes()}).json()
    said = {"prediction_id": asked["prediction_id"], "label": kind, "dataset": "pets"}
    service.client.post("/feedback", json=said).raise_for_status()


@pytest.mark.whole
def test_the_fifth_label_starts_a_training_whose_version_goes_live(taught: Service, tmp_path: Path) -> None:
    until(lambda: bool(newest(taught)))
    first = ended(taught, newest(taught)[0].id)
    assert (first["trigger"], first["decision"]["promoted"]) == ("168 new labels", True)

    for seed, kind in enumerate(("cat", "dog", "cat", "dog")):
        give_feedback(taught, kind, 50_000 + seed, tmp_path)
    dry = taught.client.get("/retrain/policy").json()
    assert (dry["dataset"], dry["would_start"]) == ("pets", False)
    assert dry["reason"].startswith("4 of 5 new labels in pets since the training of ")
    assert len(newest(taught)) == 1

    give_feedback(taught, "cat", 50_004, tmp_path)

    until(lambda: len(newest(taught)) == 2)
    job = ended(taught, newest(taught)[0].id)
    assert (job["status"], job["trigger"]) == ("succeeded", "5 new labels")
    assert job["decision"]["promoted"], job["reason"]
    until(lambda: taught.client.get("/model").json()["version"] == job["version"])


def test_of_many_processes_one_starts_the_training(keeper: Service) -> None:
    label(keeper, 6)

    policy = {"retrain_after_labels": 5, "retrain_promote": "shadow"}
    look(*(automatic(keeper, policy) for _ in range(6)))

    (job,) = newest(keeper)
    assert (job.trigger, job.status) == ("6 new labels", Status.QUEUED)
    assert job.request == RetrainRequest(dataset="pets", promote="shadow").model_dump(exclude_none=True)


def test_labels_are_counted_since_the_last_training_began_also_after_a_restart(keeper: Service) -> None:
    label(keeper, 5)
    look(automatic(keeper, {"retrain_after_labels": 5}))
    run_next(keeper)
    settings = {"retrain_after_labels": 3, "retrain_at_most_every": 0}

    label(keeper, 2, first=10)
    look(automatic(keeper, settings))
    assert len(newest(keeper)) == 1
    ids = keeper.client.get("/datasets/pets/pictures/ids?label=cat").json()["ids"]
    keeper.client.post("/datasets/pets/changes", json={"label": "dog", "ids": ids[:1]}).raise_for_status()
    look(automatic(keeper, settings))

    assert [job.trigger for job in newest(keeper)] == ["3 new labels", "5 new labels"]


def test_never_more_often_than_the_setting_says(keeper: Service) -> None:
    label(keeper, 5)
    often = {"retrain_after_labels": 1, "retrain_at_most_every": 2}
    look(automatic(keeper, often))
    run_next(keeper)

    label(keeper, 5, first=10)
    for minutes in (0, 60, 119):
        look(automatic(keeper, often, later=60 * minutes))
    assert len(newest(keeper)) == 1

    look(automatic(keeper, often, later=2 * HOUR_SECONDS))
    assert [job.trigger for job in newest(keeper)] == ["5 new labels"] * 2


def test_a_schedule_starts_a_training_once_each_time_it_is_due(keeper: Service) -> None:
    label(keeper, 4)
    night = (datetime.now() + timedelta(days=1)).replace(hour=3, minute=0, second=0).timestamp() - time()

    for seconds in (-60, 1, 2, 3):
        look(automatic(keeper, {"retrain_schedule": "0 3 * * *"}, later=night + seconds))

    assert [job.trigger for job in newest(keeper)] == ["schedule 0 3 * * *"]


def test_drift_that_lasts_starts_a_training(keeper: Service) -> None:
    label(keeper, 4)
    database = keeper.app.state.database.database
    for at in (time() - 2 * HOUR_SECONDS, time()):
        drift_record.tell(database, 1, ["familiarity"], at)

    look(automatic(keeper, {"retrain_on_drift_hours": 3}))
    assert newest(keeper) == []
    look(automatic(keeper, {"retrain_on_drift_hours": 2}))

    assert [job.trigger for job in newest(keeper)] == ["drift for 2 hours"]


def test_drift_lasts_until_no_process_finds_it_or_another_version_serves(keeper: Service) -> None:
    database = keeper.app.state.database.database

    def told(version: int, measures: list[str], at: float) -> DriftRecord | None:
        drift_record.tell(database, version, measures, at)
        with database.reading() as connection:
            return DriftRecord.read(connection)

    assert told(1, [], 0) is None
    assert told(1, ["familiarity"], 100) == DriftRecord(1, ("familiarity",), 100, 100)
    assert told(1, [], 100 + ENDS_SECONDS - 1) is not None, "another process may still find it"
    assert told(1, ["familiarity"], 900) == DriftRecord(1, ("familiarity",), 100, 900)
    assert told(1, [], 900 + ENDS_SECONDS) is None
    assert told(1, ["probability"], 3000) is not None
    assert told(2, ["probability"], 3001) is None


def add(service: Service, dataset: str) -> None:
    """Add one picture of a cat."""
    found = service.client.post(f"/datasets/{dataset}/images", data={"label": "cat"}, files={"file": picture(1)})
    found.raise_for_status()


def dry_run(service: Service, **policy: Any) -> str:
    process = automatic(service, policy)
    return anyio.run(process.plan).reason


def test_a_dry_run_says_why_nothing_would_start(keeper: Service) -> None:
    off = keeper.client.get("/retrain/policy").json()
    assert (off["would_start"], off["conditions"]) == (False, [])
    assert off["reason"].startswith("no training starts by itself: set CATDOG_RETRAIN_AFTER_LABELS")

    assert dry_run(keeper, retrain_after_labels=1).startswith("there is no data set yet")
    add(keeper, "pets")
    assert dry_run(keeper, retrain_after_labels=2) == "1 of 2 new labels in pets, not trained yet"
    one = dry_run(keeper, retrain_after_labels=1)
    assert one.startswith("1 new label, but the data set pets has pictures of cat to train on;")
    assert "there is no data set gone" in dry_run(keeper, retrain_after_labels=0, retrain_dataset="gone")

    label(keeper, 4, first=10)
    assert dry_run(keeper, retrain_after_labels=5) == "5 new labels"
    add(keeper, "others")
    assert dry_run(keeper, retrain_after_labels=5).startswith("it isn't clear which data set to train on")
    assert newest(keeper) == [], "a dry run starts nothing"
