"""The queue of jobs of one kind or several, and their history.

A worker claims a job with a lease that it renews while it runs. A worker that stops renewing loses the job, which is
run again. A worker writes for a job only while it holds the lease. Requests to a database that doesn't answer are
repeated for as long as a lease lasts.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from threading import Event as Waiting
from time import monotonic, time
from typing import Any, Final, NamedTuple, TypeVar
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from catdog.audit.log import record
from catdog.database import Database
from catdog.errors import DatabaseUnavailable
from catdog.jobs.errors import JobEnded, KeyReused, LeaseLost, QueueFull
from catdog.jobs.history import History
from catdog.jobs.job import Event, Job, Kind, Status, of_row
from catdog.jobs.rows import end, find, get, record_end, requeue, retry_or_fail, tell
from catdog.system.failpoints import failpoint
from catdog.tables import job_events, jobs

WAITING: Final = 8  # jobs that may be queued
ATTEMPTS: Final = 2  # per job, if its workers die
LEASE_SECONDS: Final = 20.0
DAY_SECONDS: Final = 86_400.0
OPEN: Final = (Status.QUEUED, Status.RUNNING)
ADVANCED_BY: Final = "advanced_by"  # in the progress of a job: the worker that stored it
RECORDED: Final = ("dataset", "strategy", "promote", "photos", "versions")  # of a request, in the audit log
RETRY_SECONDS: Final = 0.5  # between two attempts at a database that doesn't answer
SILENT: Final = "the worker stopped responding: its process or machine ended, perhaps for lack of memory"

Answer = TypeVar("Answer")


class Automatic(NamedTuple):
    """A job that the service queues by itself, and what triggered it."""

    request: Mapping[str, Any]
    trigger: str


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
    """The queue of some kinds, to submit, watch and claim jobs. Any number of processes may use it at once.

    Jobs that are submitted are of the first kind. One job of all these kinds runs at a time.
    """

    def __init__(self, database: Database, *kinds: Kind) -> None:
        self._database = database
        self.history = History(database)
        self._kinds = kinds or (Kind.TRAINING,)
        self._mine: ColumnElement[bool] = jobs.c.kind.in_(self._kinds)

    def submit(self, request: Mapping[str, Any], key: str | None = None, id: str | None = None) -> Job:
        """Queue a job. A `key` that was used for the same request returns that job; for another one it is KeyReused.

        QueueFull if too many jobs are queued. The job gets a new `id` by default.
        """
        with self._database.writing() as connection:
            if key is not None and (known := find(connection, self._mine, jobs.c.idempotency_key == key)):
                if known.request != request:
                    raise KeyReused(key)
                return known
            job = self._insert(connection, request, id, idempotency_key=key)
        failpoint("job.submitted")
        return self.get(job)

    def submit_if(self, decide: Callable[[Connection], Automatic | None]) -> Job | None:
        """Queue what `decide` returns, if anything; QueueFull. Nothing else writes to the database in the meantime."""
        with self._database.writing() as connection:
            decided = decide(connection)
            if decided is None:
                return None
            job = self._insert(connection, decided.request, trigger=decided.trigger)
        failpoint("job.submitted")
        return self.get(job)

    def check_room(self) -> None:
        """Raise QueueFull if too many jobs are queued."""
        with self._database.reading() as connection:
            self._check_room(connection)

    def get(self, job: str) -> Job:
        """A job by its id; raises JobNotFound."""
        with self._database.reading() as connection:
            return get(connection, job, self._mine)

    def newest(self, limit: int) -> list[Job]:
        """At most `limit` jobs, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(jobs).where(self._mine).order_by(jobs.c.number.desc()).limit(limit))
            return [of_row(row) for row in rows.mappings()]

    def counts(self) -> dict[Status, int]:
        """The number of jobs by status."""
        with self._database.reading() as connection:
            of_status = select(jobs.c.status, func.count()).where(self._mine).group_by(jobs.c.status)
            return dict.fromkeys(Status, 0) | {Status(status): count for status, count in connection.execute(of_status)}

    def running(self) -> list[Job]:
        """The jobs that a worker is running."""
        with self._database.reading() as connection:
            rows = connection.execute(select(jobs).where(self._mine, jobs.c.status == Status.RUNNING))
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
            return set(connection.scalars(select(jobs.c.id).where(self._mine)))

    def open_ids(self) -> set[str]:
        """The ids of queued and running jobs."""
        with self._database.reading() as connection:
            return set(connection.scalars(select(jobs.c.id).where(self._mine, jobs.c.status.in_(OPEN))))

    def prune(self, days: float) -> int:
        """Delete jobs that ended `days` or more days ago, with their events, except the newest; returns the number."""
        old = select(jobs.c.id).where(
            self._mine,
            jobs.c.status.not_in(OPEN),
            jobs.c.ended_at < time() - days * DAY_SECONDS,
            jobs.c.number < select(func.max(jobs.c.number)).where(self._mine).scalar_subquery(),
        )
        with self._database.writing() as connection:
            connection.execute(delete(job_events).where(job_events.c.job.in_(old)))
            return connection.execute(delete(jobs).where(jobs.c.id.in_(old))).rowcount

    def cancel(self, job: str) -> Job:
        """End a queued job, or request a running one to end; JobEnded if it has ended in another way."""
        with self._database.writing() as connection:
            found = get(connection, job, self._mine)
            if found.status is Status.QUEUED:
                end(connection, job, Status.CANCELLED, "cancelled before it ran")
            elif found.status is Status.RUNNING and found.cancel_at is None:
                connection.execute(update(jobs).where(jobs.c.id == job).values(cancel_at=time()))
            elif found.status.is_final and found.status is not Status.CANCELLED:
                raise JobEnded(job, found.status)
            record(connection, job=job)
        return self.get(job)

    def is_waiting(self) -> bool:
        """Whether `claim` would return a job now."""
        with self._database.reading() as connection:
            running = select(jobs.c.number).where(self._mine, jobs.c.status == Status.RUNNING)
            if connection.scalar(running.where(jobs.c.lease_until >= time()).limit(1)):
                return False
            open_ = select(jobs.c.number).where(self._mine, jobs.c.status.in_(OPEN))
            return connection.scalar(open_.limit(1)) is not None

    def claim(self, worker: str) -> "Lease | None":
        """Claim the oldest queued job for this worker; None if there is none, or if a job is running."""
        with self._database.writing() as connection:
            self._end_leases(connection, jobs.c.lease_until < time(), SILENT)
            if find(connection, self._mine, jobs.c.status == Status.RUNNING):
                return None
            job = find(connection, self._mine, jobs.c.status == Status.QUEUED)
            if job is None:
                return None
            values = {"status": Status.RUNNING, "worker": worker, "lease_until": time() + LEASE_SECONDS, "reason": None}
            started = func.coalesce(jobs.c.started_at, time())
            mine = update(jobs).where(jobs.c.id == job.id)
            connection.execute(mine.values(**values, attempts=jobs.c.attempts + 1, started_at=started))
            tell(connection, job.id, "status", {"status": Status.RUNNING, "attempt": job.attempts + 1})
            job = get(connection, job.id)
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
            job = find(connection, self._mine, jobs.c.status == Status.QUEUED)
            if job is not None and not find(connection, self._mine, jobs.c.status == Status.RUNNING):
                retry_or_fail(connection, job.id, job.attempts + 1, ATTEMPTS, reason)

    def _insert(self, connection: Connection, request: Mapping[str, Any], id: str | None = None, **values: Any) -> str:
        """Queue a job and return its id; QueueFull."""
        self._check_room(connection)
        job = id or uuid4().hex
        values |= {"id": job, "kind": self._kinds[0], "request": dict(request)}
        values |= {"status": Status.QUEUED, "attempts": 0, "submitted_at": time(), "progress": {}}
        connection.execute(insert(jobs).values(**values))
        tell(connection, job, "status", {"status": Status.QUEUED})
        record(connection, job=job, **{name: request[name] for name in RECORDED if name in request})
        return job

    def _check_room(self, connection: Connection) -> None:
        waiting = connection.scalar(select(func.count()).where(self._mine, jobs.c.status == Status.QUEUED)) or 0
        if waiting >= WAITING:
            raise QueueFull(waiting)

    def _end_leases(self, connection: Connection, of: Any, reason: str) -> int:
        """End these leases and requeue or end their jobs; returns the number."""
        found = connection.execute(select(jobs).where(self._mine, jobs.c.status == Status.RUNNING, of)).mappings().all()
        for job in map(of_row, found):
            if job.cancel_at is not None:
                end(connection, job.id, Status.CANCELLED, "cancelled; its worker had to be ended")
            else:
                has_advanced = job.progress.get(ADVANCED_BY) == job.worker
                retry_or_fail(connection, job.id, 0 if has_advanced else job.attempts, ATTEMPTS, reason)
        return len(found)


class Lease:
    """A job claimed by a worker. Every method raises LeaseLost after the worker has lost the job.

    All methods except `renew` repeat requests to a database that doesn't answer, like `patiently`.
    """

    def __init__(self, database: Database, job: Job, worker: str) -> None:
        self._database = database
        self.job = job
        self._worker = worker
        self.is_ending = False  # its worker gives the job up itself, so a renewal may fail

    @contextmanager
    def held(self) -> Iterator[Connection]:
        """A transaction during which the worker can't lose the job, so no other worker does the same work."""
        with ExitStack() as stack:
            yield patiently(lambda: stack.enter_context(self._held()))

    def renew(self) -> bool:
        """Extend the lease by LEASE_SECONDS; returns whether cancelling was requested."""
        with self._held() as connection:
            self._set(connection, lease_until=time() + LEASE_SECONDS)
            return get(connection, self.job.id).cancel_at is not None

    def report(self, kind: str, data: Mapping[str, Any], **values: Any) -> None:
        """Add an event, and change columns of the job."""
        self._write(lambda connection: tell(connection, self.job.id, kind, data), values)

    def advance(self, progress: Mapping[str, Any]) -> None:
        """Store progress that a next worker won't repeat, without an event; then this attempt doesn't count."""
        self._write(lambda connection: None, {"progress": {**progress, ADVANCED_BY: self._worker}})

    def end(self, status: Status, reason: str, **values: Any) -> None:
        """Give the job a final status."""
        self.is_ending = True
        self._write(lambda connection: record_end(connection, self.job.id, status, reason), values)
        failpoint("job.finished")

    def release(self, reason: str) -> None:
        """Put the job back into the queue for the next worker, without counting this attempt."""
        self.is_ending = True
        self._write(lambda connection: requeue(connection, self.job.id, reason, self.job.attempts - 1), {})

    @contextmanager
    def _held(self) -> Iterator[Connection]:
        with self._database.writing() as connection:
            if not find(
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
