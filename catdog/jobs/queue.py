"""The queue of training jobs and their history.

A worker claims a job with a lease that it renews while it lives. One that falls silent loses the job, which is run
once more; whatever a worker writes for a job, it writes while it holds the lease. A database that doesn't answer is
asked again for as long as a lease lasts.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from threading import Event as Waiting
from time import monotonic, time
from typing import Any, Final, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from catdog.database import Database, job_events, jobs
from catdog.errors import DatabaseUnavailable, JobEnded, JobNotFound, KeyReused, LeaseLost, QueueFull
from catdog.jobs.job import Event, Job, Status
from catdog.system.failpoints import failpoint

WAITING: Final = 8  # jobs that may be queued
ATTEMPTS: Final = 2  # that a job gets where its worker dies
LEASE_SECONDS: Final = 20.0
DAY_SECONDS: Final = 86_400.0
OPEN: Final = (Status.QUEUED, Status.RUNNING)
RETRY_SECONDS: Final = 0.5  # between two attempts at a database that doesn't answer
SILENT: Final = "the worker fell silent: its machine or process was ended, perhaps for lack of memory"


Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns, tried again while the database doesn't answer; DatabaseUnavailable after LEASE_SECONDS."""
    until = monotonic() + LEASE_SECONDS
    while True:
        try:
            return ask()
        except DatabaseUnavailable:
            if monotonic() > until:
                raise
        Waiting().wait(RETRY_SECONDS)


class Jobs:
    """The queue, for those who ask for jobs and watch them. Any number of processes may use it at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, request: Mapping[str, Any], key: str | None = None) -> Job:
        """Queue a job. With a `key` that came with the same request before, the job of then; else KeyReused.

        QueueFull where too many wait.
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
        """Raises JobNotFound."""
        with self._database.reading() as connection:
            return _get(connection, job)

    def newest(self, limit: int) -> list[Job]:
        """At most `limit` jobs, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(jobs).order_by(jobs.c.number.desc()).limit(limit))
            return [_job(row) for row in rows.mappings()]

    def counts(self) -> dict[Status, int]:
        """How many there are of each status."""
        with self._database.reading() as connection:
            found = connection.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status))
            return dict.fromkeys(Status, 0) | {Status(status): count for status, count in found}

    def running(self) -> list[Job]:
        """Those that are in the hands of a worker."""
        with self._database.reading() as connection:
            rows = connection.execute(select(jobs).where(jobs.c.status == Status.RUNNING))
            return [_job(row) for row in rows.mappings()]

    def events(self, job: str, after: int = 0) -> list[Event]:
        """What happened to a job after the event with that id, in order."""
        columns = (job_events.c[field.name] for field in fields(Event))
        query = select(*columns).where(job_events.c.job == job, job_events.c.id > after).order_by(job_events.c.id)
        with self._database.reading() as connection:
            return [Event(*row) for row in connection.execute(query)]

    def ids(self) -> set[str]:
        """Of every job that is known."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(jobs.c.id)))

    def open_ids(self) -> set[str]:
        """Of those that wait or run."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(jobs.c.id).where(jobs.c.status.in_(OPEN))))

    def prune(self, days: float) -> int:
        """Forget jobs that ended so many days ago, with their events, but for the newest one; returns how many."""
        old = select(jobs.c.id).where(
            jobs.c.status.not_in(OPEN),
            jobs.c.ended_at < time() - days * DAY_SECONDS,
            jobs.c.number < select(func.max(jobs.c.number)).scalar_subquery(),
        )
        with self._database.writing() as connection:
            connection.execute(delete(job_events).where(job_events.c.job.in_(old)))
            return connection.execute(delete(jobs).where(jobs.c.id.in_(old))).rowcount

    def cancel(self, job: str) -> Job:
        """End a job that waits, and ask one that runs to end; JobEnded where it has ended otherwise."""
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
        """Whether a worker would get a job if it asked now."""
        with self._database.reading() as connection:
            running = select(jobs.c.number).where(jobs.c.status == Status.RUNNING)
            if connection.scalar(running.where(jobs.c.lease_until >= time()).limit(1)):
                return False
            open_ = select(jobs.c.number).where(jobs.c.status.in_(OPEN))
            return connection.scalar(open_.limit(1)) is not None

    def claim(self, worker: str) -> "Lease | None":
        """The oldest job that waits, for this worker; None where none does, or one is running."""
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
        """Take a worker's job from it, as when its lease ends: for whoever knows that it is dead, and why.

        One that died before it had a job has tried the one that waits longest: else it would be tried for ever.
        """
        with self._database.writing() as connection:
            if self._end_leases(connection, jobs.c.worker == worker, reason):
                return
            job = _find(connection, jobs.c.status == Status.QUEUED)
            if job is not None and not _find(connection, jobs.c.status == Status.RUNNING):
                _retry_or_fail(connection, job.id, job.attempts + 1, reason)

    def _end_leases(self, connection: Connection, of: Any, reason: str) -> int:
        """Take the jobs of these leases from their workers; returns how many."""
        found = connection.execute(select(jobs).where(jobs.c.status == Status.RUNNING, of)).mappings().all()
        for job in map(_job, found):
            if job.cancel_at is not None:
                _end(connection, job.id, Status.CANCELLED, "cancelled; its worker had to be ended")
            else:
                _retry_or_fail(connection, job.id, job.attempts, reason)
        return len(found)


class Lease:
    """A job in the hands of a worker. Every method raises LeaseLost once the job isn't its any more.

    All but `renew` ask a database that doesn't answer again, as `patiently` does.
    """

    def __init__(self, database: Database, job: Job, worker: str) -> None:
        self._database = database
        self.job = job
        self._worker = worker

    @contextmanager
    def held(self) -> Iterator[Connection]:
        """A transaction in which nobody can take the job: what is done meanwhile is done by its one worker."""
        with ExitStack() as stack:
            yield patiently(lambda: stack.enter_context(self._held()))

    def renew(self) -> bool:
        """Hold the job for LEASE_SECONDS more; returns whether it was asked to stop."""
        with self._held() as connection:
            self._set(connection, lease_until=time() + LEASE_SECONDS)
            return _get(connection, self.job.id).cancel_at is not None

    def report(self, kind: str, data: Mapping[str, Any], **values: Any) -> None:
        """Add an event, and change columns of the job."""
        self._write(lambda connection: _tell(connection, self.job.id, kind, data), values)

    def end(self, status: Status, reason: str, **values: Any) -> None:
        """Bring the job to a final status."""
        self._write(lambda connection: _end(connection, self.job.id, status, reason), values)
        failpoint("job.finished")

    def release(self, reason: str) -> None:
        """Put the job back into the queue for the next worker, as if this one had never tried."""
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
    """The oldest job that meets the conditions."""
    row = connection.execute(select(jobs).where(*conditions).order_by(jobs.c.number).limit(1)).mappings().first()
    return None if row is None else _job(row)


def _job(row: RowMapping) -> Job:
    values = {field.name: row[field.name] for field in fields(Job)}
    return Job(**values | {"status": Status(row["status"])})
