"""Metrics of training jobs, read from the database with a time limit."""

import logging
from collections.abc import Iterator, Mapping
from time import monotonic, time
from typing import NamedTuple

import anyio
from anyio import CapacityLimiter, to_thread
from prometheus_client.metrics_core import Metric

from app.retraining.database import Records
from app.telemetry.metrics_families import gauge, gauges
from catdog.jobs.job import Job, Status

logger = logging.getLogger(__name__)

FRESH_SECONDS = 5.0  # that an answer is good for, however many ask
PATIENCE_SECONDS = 2.0  # with the database; Prometheus waits 10 for the whole page


class Seen(NamedTuple):
    """The jobs, at one moment."""

    counts: Mapping[Status, int]
    running: Job | None


class JobNumbers:
    """Where the database doesn't answer, its numbers are missing and all others are there."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._seen: Seen | None = None
        self._fresh_until = 0.0
        self._told = ""
        self._turn = CapacityLimiter(1)  # one that is stuck in the database is enough

    async def families(self) -> Iterator[Metric]:
        """What was seen at most FRESH_SECONDS ago."""
        if monotonic() >= self._fresh_until:
            seen = None
            with anyio.move_on_after(PATIENCE_SECONDS):
                seen = await to_thread.run_sync(self._look, limiter=self._turn, abandon_on_cancel=True)
            self._seen, self._fresh_until = seen, monotonic() + FRESH_SECONDS
        return _families(self._seen)

    def _look(self) -> Seen | None:
        try:
            jobs = self._records.jobs
            seen = Seen(jobs.counts(), next(iter(jobs.running()), None))
        except Exception as error:  # whatever it is, the other numbers are there
            if self._told != (told := str(getattr(error, "reason", error))):
                logger.error("jobs can't be counted: %s", told)
            self._told = told
            return None
        self._told = ""
        return seen


def _families(seen: Seen | None) -> Iterator[Metric]:
    counts = {} if seen is None else {(status.value,): count for status, count in seen.counts.items()}
    yield gauge("catdog_database_up", "1 where the database of labels and jobs answers in time.", seen is not None)
    yield gauges("catdog_jobs", "Trainings that were asked for, by what has become of them.", counts, "status")
    yield from _families_of(seen.running if seen else None)


def _families_of(job: Job | None) -> Iterator[Metric]:
    """Of the running job: no numbers where none runs, nor those that its training doesn't have."""
    progress = job.progress if job else {}
    phase: str | None = progress.get("phase")
    began = job.started_at if job else None
    speed = (progress.get("metrics") or {}).get("photos_per_second")
    yield gauge(
        "catdog_job_progress_ratio", "How much of the running training is done, 0 to 1.", progress.get("progress")
    )
    yield gauges(
        "catdog_job_phase", "1 for what the running training is doing.", {(phase,): 1} if phase else {}, "phase"
    )
    yield gauge("catdog_job_running_seconds", "Since the running training began.", time() - began if began else None)
    yield gauge("catdog_job_left_seconds", "What the running phase may still take.", progress.get("seconds_left"))
    yield gauge("catdog_job_epoch", "The last whole epoch of the running fine-tuning.", progress.get("epoch"))
    yield gauge("catdog_job_epochs", "How many epochs there will be.", progress.get("epochs"))
    yield gauge("catdog_job_photos_per_second", "Speed of the running fine-tuning in its last epoch.", speed)
