"""The worker: claims jobs of one kind one by one and runs them under a lease."""

import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from uuid import uuid4

from catdog import faults
from catdog.errors import CatdogError, DatabaseUnavailable, StoreUnavailable
from catdog.jobs.errors import LeaseLost
from catdog.jobs.interruptions import Interrupted, Interruptions, Reason
from catdog.jobs.job import Status, log_file
from catdog.jobs.queue import LEASE_SECONDS, Jobs, Lease, patiently

LOOK_SECONDS = 0.25  # between two polls of an empty queue
IDLE_SECONDS = 60.0  # without a job, after which a worker may exit; starting one takes a second or two
RENEW_SECONDS = 2.0  # between two renewals of a lease
# How long a job may take to end after an interruption; the process that stops the worker waits a little longer.
GRACE_SECONDS = {Reason.CANCELLED: 10.0, Reason.LOST: 10.0, Reason.STOPPED: 6.0}

Run = Callable[[Lease, Interruptions], None]  # runs the job to its end


class Worker:
    """`run` runs a job to its end; an exception from it is the job's failure. `after` is called with its id."""

    def __init__(
        self,
        jobs: Jobs,
        run: Run,
        data_dir: Path,
        name: str | None = None,
        after: Callable[[Jobs, str], None] = lambda jobs, job: None,
    ) -> None:
        self._jobs = jobs
        self._run = run
        self._data_dir = data_dir
        self._after = after
        self._interruptions = Interruptions()
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"[-64:]

    def work(self, until_idle: bool = False) -> bool:
        """Run jobs until SIGTERM or Ctrl-C, which puts the running job back into the queue.

        With `until_idle` it returns after IDLE_SECONDS without a job. Returns whether to continue in a new process: an
        interrupted job leaves threads behind that may crash this one during the next job.
        """
        self._interruptions.install()
        worked = monotonic()
        try:
            while self._interruptions.reason is None:
                if self._next():
                    worked = monotonic()
                elif until_idle and monotonic() - worked > IDLE_SECONDS:
                    break
                else:
                    Event().wait(LOOK_SECONDS)
        except Interrupted:  # between two jobs
            pass
        stale = self._interruptions.reason not in (None, Reason.STOPPED)
        _say("the worker restarts" if stale else "the worker ends")
        return stale

    def _next(self) -> bool:
        """Run the oldest queued job; False if there is none."""
        lease = heart = None
        try:
            with self._interruptions.shielded():  # an interruption can't lose a claimed job before it is in `lease`
                lease = self._claim()
            if lease is None:
                return False
            heart = Heart(lease, self._interruptions)
            with heart:
                self._run_one(lease)
        except Interrupted as interrupted:
            if lease is None:
                raise
            if heart is not None:
                heart.end()  # the interruption may have cut this short; it is raised only once
            with _unless_unavailable():
                if not patiently(lambda: self._jobs.get(lease.job.id)).status.is_final:
                    _settle(lease, interrupted.reason)
        with self._interruptions.shielded(), _unless_unavailable():  # reported even if interrupted now
            _say(f"job {lease.job.id}: {patiently(lambda: self._jobs.get(lease.job.id)).status}")
            self._after(self._jobs, lease.job.id)
        return True

    def _claim(self) -> Lease | None:
        try:
            return self._jobs.claim(self.name) if self._jobs.is_waiting() else None
        except DatabaseUnavailable as error:
            _say(error.reason)
            return None
        except OSError as error:  # the database's disk is full
            _say(str(error))
            return None

    def _run_one(self, lease: Lease) -> None:
        _say(f"job {lease.job.id} begins, attempt {lease.job.attempts}")
        with _output_into(log_file(self._data_dir, lease.job.id)):
            try:
                self._run(lease, self._interruptions)
            except LeaseLost as error:
                _say(str(error))
            except (DatabaseUnavailable, StoreUnavailable) as error:  # not the job's fault
                _say(error.reason)
                what = "database" if isinstance(error, DatabaseUnavailable) else "object store"
                with _unless_lost(), _unless_unavailable():
                    lease.release(f"the {what} didn't answer its worker; another worker will resume it")
            except Exception as error:  # ends this job but not the worker
                traceback.print_exc()
                with _unless_lost(), _unless_unavailable():
                    lease.end(Status.FAILED, _sentence(error))


class Heart(Thread):
    """Renews a lease while the job runs, and ends the process if an interrupted job doesn't end in time."""

    def __init__(self, lease: Lease, interruptions: Interruptions) -> None:
        super().__init__(name="heart", daemon=True)
        self._lease = lease
        self._interruptions = interruptions
        self._over = Event()
        self._renewed = monotonic()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop renewing; may be called repeatedly, and before the start."""
        self._over.set()
        if self.ident is not None:
            self.join()

    def run(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            self._beat()
            if (reason := self._interruptions.reason) and self._interruptions.seconds_ago > GRACE_SECONDS[reason]:
                with _unless_unavailable():
                    _settle(self._lease, reason)
                _say("the interrupted job didn't end in time: the worker ends")
                os._exit(0)

    def _beat(self) -> None:
        try:
            if self._lease.renew():
                self._interruptions.ask(Reason.CANCELLED)
            self._renewed = monotonic()
        except LeaseLost:
            if not (self._over.is_set() or self._lease.is_ending):
                self._interruptions.ask(Reason.LOST)
        except (DatabaseUnavailable, OSError) as error:
            _say(f"the lease can't be renewed: {error}")
            if monotonic() - self._renewed > LEASE_SECONDS:
                self._interruptions.ask(Reason.LOST)


@contextmanager
def _unless_unavailable() -> Iterator[None]:
    """Log DatabaseUnavailable and continue; if it lasts longer than a lease, another worker gets the job."""
    try:
        yield
    except DatabaseUnavailable as error:
        _say(error.reason)


def _settle(lease: Lease, reason: Reason) -> None:
    """End an interrupted job, or put it back into the queue."""
    with _unless_lost():
        match reason:
            case Reason.CANCELLED:
                lease.end(Status.CANCELLED, "cancelled while it ran")
            case Reason.STOPPED:
                lease.release("its worker was stopped; another worker will resume it")
            case Reason.LOST:
                pass


@contextmanager
def _unless_lost() -> Iterator[None]:
    try:
        yield
    except LeaseLost as error:
        _say(str(error))


def _sentence(error: Exception) -> str:
    """The public reason of a failure: no paths, and only the type of an unexpected error. The log has the traceback."""
    if isinstance(error, CatdogError):
        return str(error)
    if isinstance(error, ImportError) and (missing := faults.missing_library(error)):
        return missing
    if isinstance(error, OSError):
        return f"{error.strerror or type(error).__name__}; the job's log names the file"
    return f"unexpected error ({type(error).__name__}); the job's log has the traceback"


@contextmanager
def _output_into(file: Path) -> Iterator[None]:
    """Append this process's output to a file, including output that libraries print directly."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = os.dup(1), os.dup(2)
    try:
        with file.open("a", buffering=1, encoding="utf-8") as output:
            for descriptor in (1, 2):
                os.dup2(output.fileno(), descriptor)
            with redirect_stdout(output), redirect_stderr(output):
                yield
    finally:
        for descriptor, saved in zip((1, 2), before, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)


def _say(line: str) -> None:
    sys.stderr.write(f"catdog worker: {line}\n")
    sys.stderr.flush()
