"""Errors of jobs and their queue; see `catdog.errors`.

JobError
├── JobNotFound            no such job
├── JobEnded               the job has ended and can't be cancelled
├── NoResult               the job has no result, or none yet
├── QueueFull              too many jobs are queued
├── KeyReused              an idempotency key that was used for another request
└── LeaseLost              the job no longer belongs to this worker
"""

from catdog.errors import CatdogError
from catdog.faults import shown


class JobError(CatdogError):
    """The job queue can't do what was requested."""


class JobNotFound(JobError):
    """No such job."""

    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__(f"there is no job {shown(job)}; GET /retrain lists the newest")


class JobEnded(JobError):
    """A job that has ended and can't be cancelled."""

    def __init__(self, job: str, status: str) -> None:
        self.job = job
        self.status = status
        super().__init__(f"job {job} has ended ({status}); there is nothing to cancel")


class NoResult(JobError):
    """A job without a result, or without one yet."""

    def __init__(self, job: str, status: str, reason: str | None) -> None:
        self.job = job
        self.status = status
        self.reason = reason
        if status in ("queued", "running"):
            super().__init__(f"job {job} is {status}; ask for its result when it has succeeded")
        else:
            super().__init__(f"job {job} has no result: it {status}" + (f" ({reason})" if reason else ""))


class QueueFull(JobError):
    """Too many jobs are queued."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(f"{waiting} jobs are already queued; retry when one has ended, or cancel one")


class KeyReused(JobError):
    """An idempotency key that was already used for another request."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the idempotency key {key!r} was already used for another request; use a new one")


class LeaseLost(JobError):
    """This worker didn't renew its lease on the job in time, so it must write nothing more for it."""

    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__(f"job {job} was taken from this worker, which did not renew its lease in time")
