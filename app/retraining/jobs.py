"""Accepts, follows and cancels jobs of one kind, and starts a worker for them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from threading import Lock
from time import time
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from app.admission import AdmissionLimit
from app.retraining.worker_process import STOP_SECONDS, Runner
from app.shutdown import Shutdown
from catdog.errors import DatabaseUnavailable
from catdog.jobs.errors import JobNotFound
from catdog.jobs.job import Event, Job, Status

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from catdog.jobs.queue import Automatic, Jobs

logger = logging.getLogger(__name__)

LATEST = "latest"
SUPERVISE_SECONDS = 1.0  # between checks of the queue
MARGIN_SECONDS = 5.0  # in addition to STOP_SECONDS, for a worker to end itself before it is stopped
WATCH_SECONDS = 0.5  # between checks of a job's events
WATCHERS = 64  # streams of events at a time: each queries the database twice in WATCH_SECONDS
QUIET_SECONDS = 15.0  # after which a stream without events sends a comment, before a proxy closes it

LOGGED_JOBS = 20  # the newest ones, whose changes are logged
LOGGED = {
    Status.RUNNING: "started",
    Status.SUCCEEDED: "succeeded",
    Status.FAILED: "failed",
    Status.CANCELLED: "was cancelled",
}

Answer = TypeVar("Answer")


class JobService:
    """A queue of jobs, off the event loop. Without a `runner`, workers elsewhere run the jobs.

    `queue` opens it; called on a thread.
    """

    def __init__(self, queue: "Callable[[], Jobs]", runner: Runner | None, shutdown: Shutdown) -> None:
        self._queue = queue
        self._runner = runner
        self._worker: str | None = None
        self._statuses: dict[str, Status] | None = None  # of the newest jobs; None before the first look
        self.watchers = AdmissionLimit(WATCHERS)
        self._launching = Lock()
        self._stopped = False
        self._accepted = asyncio.Event()  # set when a job is accepted
        self._shutdown = shutdown  # event streams must not delay it
        self._threads = CapacityLimiter(4)  # of its own, so that event streams don't use up those of predictions

    async def ask(self, question: "Callable[[Jobs], Answer]") -> Answer:
        """Call `question` with the queue on a thread, and return its result."""
        return await to_thread.run_sync(lambda: question(self._queue()), limiter=self._threads)

    async def accept(self, request: dict[str, object], key: str | None = None, id: str | None = None) -> Job:
        """Queue a job, with a new `id` by default; raises QueueFull, KeyReused, TrainerMissing."""
        self.check_runner()
        job = await self.ask(lambda jobs: jobs.submit(request, key, id))
        self._accepted.set()
        return job

    async def accept_if(self, decide: "Callable[[Connection], Automatic | None]") -> Job | None:
        """Queue the job that `decide` returns, if any, while nothing else is written; raises QueueFull."""
        job = await self.ask(lambda jobs: jobs.submit_if(decide))
        if job is not None:
            self._accepted.set()
        return job

    def check_runner(self) -> None:
        """Raise TrainerMissing if this service runs jobs itself, and can't."""
        if self._runner is not None:
            self._runner.check()

    async def check_room(self) -> None:
        """Raise QueueFull if no job can be queued now: before its upload is received."""
        await self.ask(lambda jobs: jobs.check_room())

    async def get(self, job: str) -> Job:
        """The job with that id, or the LATEST one; raises JobNotFound."""
        if job != LATEST:
            return await self.ask(lambda jobs: jobs.get(job))
        newest = await self.ask(lambda jobs: jobs.newest(1))
        if not newest:
            raise JobNotFound(job)
        return newest[0]

    async def watch(self, job: str, after: int) -> AsyncIterator[list[Event]]:
        """Yield a job's events after the one with that id, until the job has ended or the service shuts down.

        An empty list is yielded after QUIET_SECONDS without events.
        """
        reported = time()
        while True:
            ended, events = await self._news(job, after)
            if events or time() - reported > QUIET_SECONDS:
                yield events
                reported = time()
            if ended or self._shutdown.is_leaving:
                return
            after = events[-1].id if events else after
            await asyncio.sleep(WATCH_SECONDS)

    async def _news(self, job: str, after: int) -> tuple[bool, list[Event]]:
        """Whether a job has ended, and its new events; False and none while the database doesn't answer."""
        try:
            ended = (await self.get(job)).status.is_final  # queried first: no event follows the end
            return ended, await self._events(job, after)
        except DatabaseUnavailable:
            return False, []

    async def _events(self, job: str, after: int) -> list[Event]:
        return await self.ask(lambda jobs: jobs.events(job, after))

    async def supervise(self) -> None:
        """Start a worker whenever a job waits; stop one that doesn't end after its job was cancelled."""
        logged = ""
        while True:
            with anyio.move_on_after(SUPERVISE_SECONDS):  # at start-up too: predictions have priority
                await self._accepted.wait()
            self._accepted.clear()
            try:
                # abandoned at shutdown, which must not wait for a database that doesn't answer
                await to_thread.run_sync(self._supervise_once, limiter=self._threads, abandon_on_cancel=True)
                logged = ""
            except Exception as error:  # any error: predictions must go on
                if logged != (logged := str(error)):
                    logger.error("jobs can't be supervised: %s", getattr(error, "reason", error))

    def _supervise_once(self) -> None:
        jobs = self._queue()  # also without a runner: imports the database's libraries before a request needs them
        self._log_changes(jobs.newest(LOGGED_JOBS))
        if self._runner is None:
            return
        if self._worker is not None:
            self._look_after(self._runner, self._worker)
        if self._worker is None and jobs.is_waiting():
            self._launch(self._runner)

    def _log_changes(self, newest: Sequence[Job]) -> None:
        """Log the jobs that have started or ended since the last call, wherever their worker runs."""
        before, self._statuses = self._statuses, {job.id: job.status for job in newest}
        for job in reversed(newest):
            is_old = before is None and job.status.is_final  # it ended before this service started
            if is_old or job.status is Status.QUEUED or (before or {}).get(job.id) is job.status:
                continue
            about = _described(job)
            level = logging.ERROR if job.status is Status.FAILED else logging.INFO
            logger.log(level, "%s %s%s", about, LOGGED[job.status], f": {job.reason}" if job.reason else "")

    def _launch(self, runner: Runner) -> None:
        with self._launching:
            if not self._stopped:
                self._worker = runner.launch()
                logger.info("a job is queued: worker %s starts", self._worker)

    def _look_after(self, runner: Runner, worker: str) -> None:
        status = runner.status(worker)
        if status.is_running and self._overstays(worker):
            runner.stop(worker)
            status = runner.status(worker)
        if status.is_running:
            return
        if status.death:
            logger.error("a job lost its worker: %s", status.death)
            self._queue().give_up(worker, status.death)
        self._worker = None

    def _overstays(self, worker: str) -> bool:
        """Whether the worker still runs a job that was cancelled too long ago; it should have ended by itself."""
        asked = [job.cancel_at for job in self._queue().running() if job.worker == worker]
        return any(at is not None and time() > at + STOP_SECONDS + MARGIN_SECONDS for at in asked)

    def stop(self) -> None:
        """Stop the worker, whose job is queued again. For the shutdown; blocks."""
        with self._launching:  # waits for a launch in progress, so that this worker is stopped too
            self._stopped = True
        if self._runner is not None and self._worker is not None:
            self._runner.stop(self._worker)


def _described(job: Job) -> str:
    """What it is and does, for the log."""
    asked = job.request
    if "versions" in asked:
        return f"comparison {job.id} (versions {' and '.join(map(str, asked['versions']))} on {asked['dataset']})"
    what = f"the data set {asked['dataset']}" if "dataset" in asked else f"{asked['photos']} photos"
    return f"training {job.id} ({asked['strategy']} on {what})" if "strategy" in asked else f"batch {job.id} ({what})"
