"""Collects the service's metrics for Prometheus when they are scraped."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic, time
from typing import NamedTuple

import anyio
from anyio import CapacityLimiter, to_thread
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.admission import Bodies
from app.retraining.database import ServiceDatabase
from app.serving.predictor import Predictor
from app.telemetry.instruments import Requests, counter, counters, gauge, gauges
from catdog import __version__
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

    def __init__(self, records: ServiceDatabase) -> None:
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


class Metrics(Collector):
    """Costs nothing until the page is asked for."""

    def __init__(self, requests: Requests, predictor: Predictor, receiving: Bodies, jobs: JobNumbers) -> None:
        self._requests = requests
        self._predictor = predictor
        self._receiving = receiving
        self._jobs = jobs
        self._of_jobs: Iterable[Metric] = ()
        self._thread = CapacityLimiter(1)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        measured = predictor.measurements
        for instrument in (requests.answered, requests.seconds, measured.phase_seconds, measured.batch_photos):
            self._registry.register(instrument)
        ProcessCollector(registry=self._registry)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The page in the format of that `Accept` header, and its media type."""
        encode, media_type = choose_encoder(accept)
        self._of_jobs = list(await self._jobs.families())
        return await to_thread.run_sync(encode, self._registry, limiter=self._thread), media_type

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is, is only known when it is asked for."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield gauges("catdog_build_info", "1 for the version of the service.", {(__version__,): 1}, "version")
        yield from self._of_queue()
        yield from self._of_model()
        yield from self._of_drift()
        yield from self._of_jobs

    def _of_queue(self) -> Iterator[Metric]:
        measured, admission, receiving = self._predictor.measurements, self._predictor.admission, self._receiving
        reasons = {
            **self._requests.problems.copy(),
            "overloaded": admission.refused + receiving.refused,
            "expired": measured.expired,
            "client-gone": measured.abandoned,
        }
        yield counters(
            "catdog_rejections",
            "Requests and photos without the answer that they asked for, by the problem: the end of its type.",
            {(name,): count for name, count in reasons.items()},
            "reason",
        )
        yield counter("catdog_photos_answered", "Photos that were answered.", measured.answered)
        yield counter("catdog_photos_cached", "Of these, the ones that were known from before.", measured.cached)
        yield gauge("catdog_body_bytes", "Bytes of request bodies in memory.", receiving.held_bytes)
        yield gauge("catdog_queue_photos", "Photos that were admitted and have no answer yet.", admission.taken)
        yield gauge("catdog_queue_limit_photos", "How many there may be; more are refused.", admission.limit)
        yield gauge("catdog_uploads", "Requests whose bodies are being received.", receiving.taken)
        yield gauge("catdog_uploads_limit", "How many there may be; more are refused.", receiving.limit)

    def _of_model(self) -> Iterator[Metric]:
        champion = self._predictor.serving
        version = champion.manifest.version if champion else None
        about = {(str(version), champion.engine.precision): 1.0} if champion else {}
        yield gauge("catdog_ready", "1 where a version is loaded and has answered once.", champion is not None)
        yield gauge("catdog_champion_version", "The version in service.", version)
        yield gauges("catdog_champion_info", "1 for the version in service.", about, "version", "precision")
        yield gauge(
            "catdog_champion_stale",
            "1 where the version in service isn't the store's champion, because that can't be loaded.",
            champion is not None and self._predictor.problem is not None,
        )
        yield counter("catdog_swaps", "Versions that took over from another since the start.", self._predictor.swaps)

    def _of_drift(self) -> Iterator[Metric]:
        champion = self._predictor.serving
        shifts = champion.drift.shifts() if champion else ()
        yield gauges(
            "catdog_drift_index",
            "Population stability index of the last hour's answers against those to the validation photos.",
            {(shift.measure,): shift.psi for shift in shifts if shift.psi is not None},
            "measure",
        )
        yield gauges(
            "catdog_drift_photos",
            "Photos that it is of.",
            {(shift.measure,): shift.photos for shift in shifts},
            "measure",
        )
        yield gauges(
            "catdog_drifted",
            "1 where it is above 0.25, and above what chance gives so many photos.",
            {(shift.measure,): shift.drifted for shift in shifts},
            "measure",
        )
