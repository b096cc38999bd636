"""The clean-up removes what killed processes left, and what has expired."""

import os
from pathlib import Path
from time import time

import pytest
from sqlalchemy import select, update

from app.retraining.database import ServiceDatabase
from app.retraining.upkeep import DAY_SECONDS, Upkeep
from app.serving.prediction_log import PredictionLog
from app.settings import Settings
from catdog.database import Database
from catdog.datasets.datasets import Datasets
from catdog.jobs.job import Status, log_file
from catdog.tables import job_events, jobs
from tests.app.service import publish, serving
from tests.waiting import until


class LoggedPrediction:
    """A data folder and a store, with their upkeep."""

    def __init__(self, folder: Path, keep_jobs_days: float) -> None:
        self.settings = Settings.model_construct(
            data_dir=folder / "data", models_dir=folder / "models", keep_jobs_days=keep_jobs_days
        )
        self.records = ServiceDatabase(self.settings)
        self.upkeep = Upkeep(self.settings, self.records, PredictionLog(folder / "data", 1000, 10**9))

    def ended(self, days_ago: float, status: Status = Status.SUCCEEDED) -> str:
        """The id of a job that ended this long ago, with a log."""
        job = self.records.jobs.submit({})
        values = {"status": status, "ended_at": time() - days_ago * DAY_SECONDS}
        with self.records._open().writing() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
        self.log(job.id, days_ago)
        return job.id

    def log(self, job: str, days_ago: float) -> Path:
        log = log_file(self.settings.data_dir, job)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("it went well\n")
        os.utime(log, (time() - days_ago * DAY_SECONDS,) * 2)
        return log

    def logs(self) -> set[str]:
        return {path.stem for path in (self.settings.data_dir / "jobs").glob("*.log")}


@pytest.fixture
def kept(tmp_path: Path) -> LoggedPrediction:
    publish(tmp_path / "models")
    return LoggedPrediction(tmp_path, keep_jobs_days=30)


def test_old_jobs_are_forgotten_with_their_events_and_logs(kept: LoggedPrediction) -> None:
    old = [kept.ended(31, status) for status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)]
    young = kept.ended(29)
    waiting = kept.records.jobs.submit({}).id
    kept.log(waiting, 31)
    unknown = kept.log("0" * 32, 29).stem  # of another database, perhaps

    kept.upkeep.once()

    assert kept.records.jobs.ids() == {young, waiting}
    assert kept.logs() == {young, waiting, unknown}
    with kept.records._open().reading() as connection:
        assert set(connection.scalars(select(job_events.c.job))) == {young, waiting}
    assert not set(old) & kept.logs()


def test_the_newest_job_is_kept_however_old_it_is(kept: LoggedPrediction) -> None:
    kept.ended(100)
    newest = kept.ended(99)

    kept.upkeep.once()

    assert kept.records.jobs.ids() == {newest}


def test_what_an_ended_job_would_have_gone_on_from_is_removed(kept: LoggedPrediction) -> None:
    ended, waiting = kept.ended(0), kept.records.jobs.submit({}).id
    for job in (ended, waiting):
        (kept.settings.data_dir / "jobs" / job).mkdir()

    kept.upkeep.once()

    assert [path.name for path in (kept.settings.data_dir / "jobs").iterdir() if path.is_dir()] == [waiting]


def test_one_step_that_fails_does_not_keep_the_others_from_their_work(
    kept: LoggedPrediction, caplog: pytest.LogCaptureFixture
) -> None:
    (kept.settings.data_dir).mkdir()
    (kept.settings.data_dir / "catdog.sqlite").write_text("no database at all" * 100)
    Path(kept.settings.models_dir, ".deleted-7").mkdir()

    kept.upkeep.once()

    assert "jobs can't be cleaned up: file is not a database" in caplog.text
    assert not Path(kept.settings.models_dir, ".deleted-7").exists()


def test_a_start_clears_up_what_killed_processes_left(tmp_path: Path) -> None:
    publish(tmp_path)
    with Datasets(Database.of(tmp_path / "data"), tmp_path / "data").incoming():
        pass  # so that the folder is marked as this database's
    left = [
        tmp_path / ".draft-0" / "content" / "model.weights.h5",
        tmp_path / ".deleted-9" / "manifest.json",
        tmp_path / ".champion.new",
        tmp_path / "data" / "pictures" / ".incoming-0" / "content" / "archive",
        tmp_path / "data" / "pictures" / "ab" / ("ab" * 32),
        tmp_path / "data" / "uploads" / ("0" * 32),
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half a")

    with serving(tmp_path, worker="none") as service:
        until(lambda: not any(path.exists() for path in left))
        until(lambda: service.client.get("/health/ready").is_success)
