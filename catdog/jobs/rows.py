"""Reads and changes rows of jobs, in a transaction of the caller."""

from collections.abc import Mapping
from time import time
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, insert, select, update

from catdog.audit.change import WORKER, Change, changing
from catdog.audit.log import record
from catdog.jobs.errors import JobNotFound
from catdog.jobs.job import Job, Status, of_row
from catdog.tables import job_events, jobs
from catdog.webhooks import outbox
from catdog.webhooks.message import Kind

END: Final = "end of a job"  # the action in the audit log


def end(connection: Connection, job: str, status: Status, reason: str) -> None:
    ended = {"status": status, "reason": reason, "ended_at": time(), "worker": None, "lease_until": None}
    connection.execute(update(jobs).where(jobs.c.id == job).values(**ended))
    tell(connection, job, "status", {"status": status, "reason": reason})
    columns = jobs.c.id, jobs.c.kind, jobs.c.status, jobs.c.reason, jobs.c.version, jobs.c.trigger
    row = connection.execute(select(*columns).where(jobs.c.id == job)).mappings().one()
    outbox.record(connection, Kind.JOB_ENDED, {"job" if name == "id" else name: row[name] for name in row})


def record_end(connection: Connection, job: str, status: Status, reason: str) -> None:
    """End a job that ran, and record in the audit log what became of it."""
    end(connection, job, status, reason)
    ended = get(connection, job)
    promoted = (ended.decision or {}).get("promoted")
    with changing(Change(END, WORKER)):
        record(connection, job=job, result=status, version=ended.version, promoted=promoted)


def retry_or_fail(connection: Connection, job: str, attempts: int, limit: int, reason: str) -> None:
    if attempts >= limit:
        end(connection, job, Status.FAILED, f"it was tried {attempts} times; the last time {reason}")
    else:
        requeue(connection, job, reason, attempts)


def requeue(connection: Connection, job: str, reason: str, attempts: int) -> None:
    waiting = {"status": Status.QUEUED, "reason": reason, "attempts": attempts, "worker": None, "lease_until": None}
    connection.execute(update(jobs).where(jobs.c.id == job).values(**waiting))
    tell(connection, job, "status", {"status": Status.QUEUED, "reason": reason})


def tell(connection: Connection, job: str, kind: str, data: Mapping[str, Any]) -> None:
    connection.execute(insert(job_events).values(job=job, at=time(), kind=kind, data=dict(data)))


def get(connection: Connection, job: str, *conditions: ColumnElement[bool]) -> Job:
    found = find(connection, jobs.c.id == job, *conditions)
    if found is None:
        raise JobNotFound(job)
    return found


def find(connection: Connection, *conditions: Any) -> Job | None:
    """The oldest job that meets the conditions, None if there is none."""
    row = connection.execute(select(jobs).where(*conditions).order_by(jobs.c.number).limit(1)).mappings().first()
    return None if row is None else of_row(row)
