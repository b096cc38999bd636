"""Collects the service's metrics for Prometheus when they are scraped."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic, time
from typing import Any, NamedTuple

import anyio
from anyio import CapacityLimiter, to_thread
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.admission import Bodies
from app.retraining.database import ServiceDatabase
from app.serving.drift import Shift
from app.serving.predictor import Predictor
from app.siblings import Siblings
from app.telemetry import process_metrics
from app.telemetry.instruments import Requests, gauge, gauges
from catdog import __version__
from catdog.jobs.job import Job, Status

logger = logging.getLogger(__name__)

FRESH_SECONDS = 5.0  # that the job numbers are reused, for any number of scrapers
PATIENCE_SECONDS = 2.0  # for the database to answer; Prometheus waits 10 for the whole page

GAUGES = {  # that the page has as sums over all processes, in the order of `Metrics._gauges`
    "catdog_body_bytes": "Bytes of request bodies in memory.",
    "catdog_queue_photos": "Photos admitted and not answered yet.",
    "catdog_queue_limit_photos": "Limit of catdog_queue_photos; more are refused.",
    "catdog_uploads": "Requests whose bodies are being received.",
    "catdog_uploads_limit": "Limit of catdog_uploads; more are refused.",
}


class Seen(NamedTuple):
    """The jobs, and the events for webhooks by status, at one moment."""

    counts: Mapping[Status, int]
    deliveries: Mapping[str, int]
    running: Job | None


class Gathered(NamedTuple):
    """What a page needs of other processes and of the database."""

    shifts: Iterable[Shift]
    gauges: Sequence[Mapping[str, Any]]  # one of each process
    of_jobs: Iterable[Metric]


class JobNumbers:
    """Metrics of the jobs. If the database doesn't answer, only these are missing from the page."""

    def __init__(self, records: ServiceDatabase) -> None:
        self._records = records
        self._seen: Seen | None = None
        self._fresh_until = 0.0
        self._logged = ""
        self._turn = CapacityLimiter(1)  # at most one thread may hang in the database

    async def families(self) -> Iterator[Metric]:
        """The metrics of the jobs, at most FRESH_SECONDS old."""
        if monotonic() >= self._fresh_until:
            seen = None
            with anyio.move_on_after(PATIENCE_SECONDS):
                seen = await to_thread.run_sync(self._look, limiter=self._turn, abandon_on_cancel=True)
            self._seen, self._fresh_until = seen, monotonic() + FRESH_SECONDS
        return _families(self._seen)

    def _look(self) -> Seen | None:
        try:
            jobs = self._records.jobs
            seen = Seen(jobs.counts(), self._records.deliveries.counts(), next(iter(jobs.running()), None))
        except Exception as error:  # any: the other metrics must not fail with it
            if self._logged != (reason := str(getattr(error, "reason", error))):
                logger.error("jobs can't be counted: %s", reason)
            self._logged = reason
            return None
        self._logged = ""
        return seen


def _families(seen: Seen | None) -> Iterator[Metric]:
    counts = {} if seen is None else {(status.value,): count for status, count in seen.counts.items()}
    yield gauge("catdog_database_up", "1 if the database of labels and jobs answers in time.", seen is not None)
    yield gauges("catdog_jobs", "Trainings by status.", counts, "status")
    deliveries = {} if seen is None else {(status,): count for status, count in seen.deliveries.items()}
    yield gauges("catdog_webhook_deliveries", "Events for URLs by status.", deliveries, "status")
    yield from _families_of(seen.running if seen else None)


def _families_of(job: Job | None) -> Iterator[Metric]:
    """Metrics of the running job: the ones that its training has; none if no job runs."""
    progress = job.progress if job else {}
    phase: str | None = progress.get("phase")
    began = job.started_at if job else None
    speed = (progress.get("metrics") or {}).get("photos_per_second")
    yield gauge("catdog_job_progress_ratio", "Progress of the running training, 0 to 1.", progress.get("progress"))
    yield gauges(
        "catdog_job_phase", "1 for the phase of the running training.", {(phase,): 1} if phase else {}, "phase"
    )
    yield gauge(
        "catdog_job_running_seconds", "Seconds since the running training began.", time() - began if began else None
    )
    yield gauge("catdog_job_left_seconds", "Estimated seconds left in the running phase.", progress.get("seconds_left"))
    yield gauge("catdog_job_epoch", "Last completed epoch of the running fine-tuning.", progress.get("epoch"))
    yield gauge("catdog_job_epochs", "Number of epochs of the running fine-tuning.", progress.get("epochs"))
    yield gauge("catdog_job_photos_per_second", "Photos per second of the running fine-tuning, last epoch.", speed)


class Metrics(Collector):
    """Collects the metrics when the page is requested, and does nothing before."""

    def __init__(
        self, requests: Requests, predictor: Predictor, receiving: Bodies, jobs: JobNumbers, siblings: Siblings
    ) -> None:
        self._predictor = predictor
        self._receiving = receiving
        self._jobs = jobs
        self._siblings = siblings
        self._gathered: Gathered = Gathered((), [], ())
        self._thread = CapacityLimiter(1)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        siblings.answers["gauges"] = self._gauges
        if siblings.folder is not None:
            MultiProcessCollector(self._registry, str(siblings.folder))  # type: ignore[no-untyped-call]
            return
        measured = predictor.measurements
        counters = measured.answered, measured.cached, measured.rejections, predictor.swaps, predictor.canary.photos
        for instrument in (requests.answered, requests.seconds, measured.phase_seconds, measured.batch_photos):
            self._registry.register(instrument)
        for counter in counters:
            self._registry.register(counter)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The page in the format that the `Accept` header asks for, and its media type."""
        encode, media_type = choose_encoder(accept)
        shifts = await self._predictor.drift() if self._predictor.serving is not None else ()
        gauges = [await self._gauges(), *await self._siblings.ask("gauges")]
        self._gathered = Gathered(shifts, gauges, list(await self._jobs.families()))
        return await to_thread.run_sync(encode, self._registry, limiter=self._thread), media_type

    def describe(self) -> Iterable[Metric]:
        """Nothing: the metrics are only known when they are collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        shifts, numbers, of_jobs = self._gathered
        yield gauges("catdog_build_info", "1 for the version of the service.", {(__version__,): 1}, "version")
        for name, description in GAUGES.items():
            yield gauge(name, description, sum(each[name] for each in numbers))
        supervisor = None if self._siblings.folder is None else os.getppid()
        yield from process_metrics.families([each["process"] for each in numbers], supervisor)
        yield from self._of_model()
        yield from _of_drift(shifts)
        yield from of_jobs

    async def _gauges(self) -> dict[str, Any]:
        """The numbers of this process; the page has their sums."""
        admission, receiving = self._predictor.admission, self._receiving
        values = (receiving.held_bytes, admission.taken, admission.limit, receiving.taken, receiving.limit)
        return dict(zip(GAUGES, values, strict=True)) | {"process": process_metrics.of_this()}

    def _of_model(self) -> Iterator[Metric]:
        champion = self._predictor.serving
        version = champion.manifest.version if champion else None
        about = {(str(version), champion.engine.precision): 1.0} if champion else {}
        yield gauge("catdog_ready", "1 if a version is loaded and has answered once.", champion is not None)
        yield gauge("catdog_champion_version", "Number of the version in service.", version)
        yield gauges("catdog_champion_info", "1 for the version in service.", about, "version", "precision")
        yield gauge(
            "catdog_champion_stale",
            "1 if the version in service isn't the store's champion, because the champion can't be loaded.",
            champion is not None and self._predictor.problem is not None,
        )
        share = self._predictor.canary.share
        yield gauge("catdog_canary_share", "Share of the clients that a canary answers; 0 without one.", share)


def _of_drift(shifts: Iterable[Shift]) -> Iterator[Metric]:
    shifts = tuple(shifts)
    yield gauges(
        "catdog_drift_index",
        "Population stability index of the last hour's answers against those to the validation photos.",
        {(shift.measure,): shift.psi for shift in shifts if shift.psi is not None},
        "measure",
    )
    yield gauges(
        "catdog_drift_photos",
        "Photos of the last hour that the index is computed from.",
        {(shift.measure,): shift.photos for shift in shifts},
        "measure",
    )
    yield gauges(
        "catdog_drifted",
        "1 if the index is above 0.25, and above what chance explains for that number of photos.",
        {(shift.measure,): shift.drifted for shift in shifts},
        "measure",
    )
