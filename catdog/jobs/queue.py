"""The queue of training jobs and their history.

A worker claims a job with a lease that it renews while it runs. A worker that stops renewing loses the job, which is
run again. A worker writes for a job only while it holds the lease. Requests to a database that doesn't answer are
repeated for as long as a lease lasts.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from threading import Event as Waiting
from time import monotonic, time
from typing import Any, Final, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, delete, func, insert, select, update

from catdog.database import Database
from catdog.errors import DatabaseUnavailable, JobEnded, JobNotFound, KeyReused, LeaseLost, QueueFull
from catdog.jobs.history import History
from catdog.jobs.job import Event, Job, Status, of_row
from catdog.system.failpoints import failpoint
from catdog.tables import job_events, jobs

WAITING: Final = 8  # jobs that may be queued
ATTEMPTS: Final = 2  # per job, if its workers die
LEASE_SECONDS: Final = 20.0
DAY_SECONDS: Final = 86_400.0
OPEN: Final = (Status.QUEUED, Status.RUNNING)
RETRY_SECONDS: Final = 0.5  # between two attempts at a database that doesn't answer
SILENT: Final = "the worker stopped responding: its process or machine ended, perhaps for lack of memory"


Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer]) -> Answer:
    """The result of `ask`, repeated while the database doesn't answer; DatabaseUnavailable after LEASE_SECONDS."""
    until = monotonic() + LEASE_SECONDS
    while True:
        try:
            return ask()
        except DatabaseUnavailable:
            if monotonic() > until:
                raise
        Waiting().wait(RETRY_SECONDS)


class Jobs:
    """The job queue, to submit, watch and claim jobs. Any number of processes may use it at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.history = History(database)

    def submit(self, request: Mapping[str, Any], key: str | None = None) -> Job:
        """Queue a job. A `key` that was used for the same request returns that job; for another one it is KeyReused.

        QueueFull if too many jobs are queued.
        """
        with self._database.writing() as connection:
            if key is not None and (known := _find(connection, jobs.c.idempotency_key == key)):
                if known.request != request:
                    raise KeyReused(key)
                return known
            waiting = connection.scalar(select(func.count()).where(jobs.c.status == Status.QUEUED)) or 0
            if waiting >= WAITING:
                raise QueueFull(waiting)
            job = uuid4().hex
            values = {"id": job, "status": Status.QUEUED, "request": dict(request), "idempotency_key": key}
            connection.execute(insert(jobs).values(**values, attempts=0, submitted_at=time(), progress={}))
            _tell(connection, job, "status", {"status": Status.QUEUED})
        failpoint("job.submitted")
        return self.get(job)

    def get(self, job: str) -> Job:
        """A job by its id; raises JobNotFound."""
        with self._database.reading() as connection:
            return _get(connection, job)

    def newest(self, limit: int) -> list[Job]:
        """At most `limit` jobs, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(jobs).order_by(jobs.c.number.desc()).limit(limit))
            return [of_row(row) for row in rows.mappings()]

    def counts(self) -> dict[Status, int]:
        """The number of jobs by status."""
        with self._database.reading() as connection:
            found = connection.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status))
            return dict.fromkeys(Status, 0) | {Status(status): count for status, count in found}

    def running(self) -> list[Job]:
        """The jobs that a worker is running."""
        with self._database.reading() as connection:
            rows = connection.execute(select(jobs).where(jobs.c.status == Status.RUNNING))
            return [of_row(row) for row in rows.mappings()]

    def events(self, job: str, after: int = 0) -> list[Event]:
        """The events of a job after the event with that id, in order."""
        columns = (job_events.c[field.name] for field in fields(Event))
        query = select(*columns).where(job_events.c.job == job, job_events.c.id > after).order_by(job_events.c.id)
        with self._database.reading() as connection:
            return [Event(*row) for row in connection.execute(query)]

    def ids(self) -> set[str]:
        """The ids of all jobs."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(jobs.c.id)))

    def open_ids(self) -> set[str]:
        """The ids of queued and running jobs."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(jobs.c.id).where(jobs.c.status.in_(OPEN))))

    def prune(self, days: float) -> int:
        """Delete jobs that ended `days` or more days ago, with their events, except the newest; returns the number."""
        old = select(jobs.c.id).where(
            jobs.c.status.not_in(OPEN),
            jobs.c.ended_at < time() - days * DAY_SECONDS,
            jobs.c.number < select(func.max(jobs.c.number)).scalar_subquery(),
        )
        with self._database.writing() as connection:
            connection.execute(delete(job_events).where(job_events.c.job.in_(old)))
            return connection.execute(delete(jobs).where(jobs.c.id.in_(old))).rowcount

    def cancel(self, job: str) -> Job:
        """End a queued job, or request a running one to end; JobEnded if it has ended in another way."""
        with self._database.writing() as connection:
            found = _get(connection, job)
            if found.status is Status.QUEUED:
                _end(connection, job, Status.CANCELLED, "cancelled before it ran")
            elif found.status is Status.RUNNING and found.cancel_at is None:
                connection.execute(update(jobs).where(jobs.c.id == job).values(cancel_at=time()))
            elif found.status.is_final and found.status is not Status.CANCELLED:
                raise JobEnded(job, found.status)
        return self.get(job)

    def is_waiting(self) -> bool:
        """Whether `claim` would return a job now."""
        with self._database.reading() as connection:
            running = select(jobs.c.number).where(jobs.c.status == Status.RUNNING)
            if connection.scalar(running.where(jobs.c.lease_until >= time()).limit(1)):
                return False
            open_ = select(jobs.c.number).where(jobs.c.status.in_(OPEN))
            return connection.scalar(open_.limit(1)) is not None

    def claim(self, worker: str) -> "Lease | None":
        """Claim the oldest queued job for this worker; None if there is none, or if a job is running."""
        with self._database.writing() as connection:
            self._end_leases(connection, jobs.c.lease_until < time(), SILENT)
            if _find(connection, jobs.c.status == Status.RUNNING):
                return None
            job = _find(connection, jobs.c.status == Status.QUEUED)
            if job is None:
                return None
            values = {"status": Status.RUNNING, "worker": worker, "lease_until": time() + LEASE_SECONDS, "reason": None}
            started = func.coalesce(jobs.c.started_at, time())
            mine = update(jobs).where(jobs.c.id == job.id)
            connection.execute(mine.values(**values, attempts=jobs.c.attempts + 1, started_at=started))
            _tell(connection, job.id, "status", {"status": Status.RUNNING, "attempt": job.attempts + 1})
            job = _get(connection, job.id)
        failpoint("job.claimed")
        return Lease(self._database, job, worker)

    def give_up(self, worker: str, reason: str) -> None:
        """End a worker's lease early, for callers that know that the worker is dead, and why.

        If it died before it claimed a job, this counts as an attempt of the oldest queued job; otherwise that would be
        tried for ever.
        """
        with self._database.writing() as connection:
            if self._end_leases(connection, jobs.c.worker == worker, reason):
                return
            job = _find(connection, jobs.c.status == Status.QUEUED)
            if job is not None and not _find(connection, jobs.c.status == Status.RUNNING):
                _retry_or_fail(connection, job.id, job.attempts + 1, reason)

    def _end_leases(self, connection: Connection, of: Any, reason: str) -> int:
        """End these leases and requeue or end their jobs; returns the number."""
        found = connection.execute(select(jobs).where(jobs.c.status == Status.RUNNING, of)).mappings().all()
        for job in map(of_row, found):
            if job.cancel_at is not None:
                _end(connection, job.id, Status.CANCELLED, "cancelled; its worker had to be ended")
            else:
                _retry_or_fail(connection, job.id, job.attempts, reason)
        return len(found)


class Lease:
    """A job claimed by a worker. Every method raises LeaseLost after the worker has lost the job.

    All methods except `renew` repeat requests to a database that doesn't answer, like `patiently`.
    """

    def __init__(self, database: Database, job: Job, worker: str) -> None:
        self._database = database
        self.job = job
        self._worker = worker

    @contextmanager
    def held(self) -> Iterator[Connection]:
        """A transaction during which the worker can't lose the job, so no other worker does the same work."""
        with ExitStack() as stack:
            yield patiently(lambda: stack.enter_context(self._held()))

    def renew(self) -> bool:
        """Extend the lease by LEASE_SECONDS; returns whether cancelling was requested."""
        with self._held() as connection:
            self._set(connection, lease_until=time() + LEASE_SECONDS)
            return _get(connection, self.job.id).cancel_at is not None

    def report(self, kind: str, data: Mapping[str, Any], **values: Any) -> None:
        """Add an event, and change columns of the job."""
        self._write(lambda connection: _tell(connection, self.job.id, kind, data), values)

    def end(self, status: Status, reason: str, **values: Any) -> None:
        """Give the job a final status."""
        self._write(lambda connection: _end(connection, self.job.id, status, reason), values)
        failpoint("job.finished")

    def release(self, reason: str) -> None:
        """Put the job back into the queue for the next worker, without counting this attempt."""
        self._write(lambda connection: _requeue(connection, self.job.id, reason, self.job.attempts - 1), {})

    @contextmanager
    def _held(self) -> Iterator[Connection]:
        with self._database.writing() as connection:
            if not _find(
                connection,
                jobs.c.id == self.job.id,
                jobs.c.status == Status.RUNNING,
                jobs.c.worker == self._worker,
                jobs.c.attempts == self.job.attempts,
            ):
                raise LeaseLost(self.job.id)
            yield connection

    def _write(self, act: Callable[[Connection], None], values: Mapping[str, Any]) -> None:
        def once() -> None:
            with self._held() as connection:
                if values:
                    self._set(connection, **values)
                act(connection)

        patiently(once)

    def _set(self, connection: Connection, **values: Any) -> None:
        connection.execute(update(jobs).where(jobs.c.id == self.job.id).values(**values))


def _end(connection: Connection, job: str, status: Status, reason: str) -> None:
    ended = {"status": status, "reason": reason, "ended_at": time(), "worker": None, "lease_until": None}
    connection.execute(update(jobs).where(jobs.c.id == job).values(**ended))
    _tell(connection, job, "status", {"status": status, "reason": reason})


def _retry_or_fail(connection: Connection, job: str, attempts: int, reason: str) -> None:
    if attempts >= ATTEMPTS:
        _end(connection, job, Status.FAILED, f"it was tried {attempts} times; the last time {reason}")
    else:
        _requeue(connection, job, reason, attempts)


def _requeue(connection: Connection, job: str, reason: str, attempts: int) -> None:
    waiting = {"status": Status.QUEUED, "reason": reason, "attempts": attempts, "worker": None, "lease_until": None}
    connection.execute(update(jobs).where(jobs.c.id == job).values(**waiting))
    _tell(connection, job, "status", {"status": Status.QUEUED, "reason": reason})


def _tell(connection: Connection, job: str, kind: str, data: Mapping[str, Any]) -> None:
    connection.execute(insert(job_events).values(job=job, at=time(), kind=kind, data=dict(data)))


def _get(connection: Connection, job: str) -> Job:
    found = _find(connection, jobs.c.id == job)
    if found is None:
        raise JobNotFound(job)
    return found


def _find(connection: Connection, *conditions: Any) -> Job | None:
    """The oldest job that meets the conditions, None if there is none."""
    row = connection.execute(select(jobs).where(*conditions).order_by(jobs.c.number).limit(1)).mappings().first()
    return None if row is None else of_row(row)
