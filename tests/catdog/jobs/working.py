"""What a worker runs in tests, and what a test does while it runs."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from catdog.jobs.interruptions import Interruptions
from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs, Lease
from catdog.jobs.worker import Run, Worker
from tests.waiting import PATIENCE_SECONDS


def work(jobs: Jobs, run: Run, folder: Path) -> bool:
    """Run the worker; returns whether it needs a new process."""
    return Worker(jobs, run, folder, "one").work(until_idle=True)


def succeed(lease: Lease, interruptions: Interruptions) -> None:
    print("all is well")  # noqa: T201  # as a trainer does
    lease.end(Status.SUCCEEDED, "promoted")


def wait_for_ever(lease: Lease, interruptions: Interruptions) -> None:
    Event().wait(PATIENCE_SECONDS)


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` on a thread during the block; its exception is raised at the end."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(act)
        yield
        future.result(PATIENCE_SECONDS)


def is_running(jobs: Jobs) -> bool:
    return bool(jobs.running())
