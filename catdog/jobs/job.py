"""A job as the database stores it: a training, a batch of photos, or a comparison of versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

REQUEST = "request"  # the trigger of a job that a person or program asked for
FOLDER = "jobs"  # in the data folder: logs, and the state for resuming


class Kind(StrEnum):
    """What a job does. Jobs of different kinds have separate queues and workers."""

    TRAINING = "training"
    BATCH = "batch"  # classifies photos
    COMPARISON = "comparison"  # compares two versions on the same photos


class Status(StrEnum):
    """The status of a job."""

    QUEUED = "queued"  # it waits for a worker
    RUNNING = "running"  # a worker is running it
    SUCCEEDED = "succeeded"  # a training published a version, a batch has its result
    FAILED = "failed"  # it has no result; the reason says why
    CANCELLED = "cancelled"  # cancelled before it had a result

    @property
    def is_final(self) -> bool:
        return self not in (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True)
class Job:
    """A job's record; times are seconds since 1970."""

    number: int
    id: str
    status: Status
    request: Mapping[str, Any]
    attempts: int
    worker: str | None
    cancel_at: float | None
    submitted_at: float
    started_at: float | None
    ended_at: float | None
    progress: Mapping[str, Any] = field(default_factory=dict)
    findings: list[Any] | None = None
    decision: Mapping[str, Any] | None = None
    version: int | None = None
    reason: str | None = None
    trigger: str = REQUEST  # what made the service queue it
    kind: Kind = Kind.TRAINING


def of_row(row: Mapping[Any, Any]) -> Job:
    """The job of a row of the database."""
    return Job(
        **{each.name: row[each.name] for each in fields(Job)}
        | {"status": Status(row["status"]), "kind": Kind(row["kind"])}
    )


def log_file(data_dir: Path, job: str) -> Path:
    """The file for the trainer's output during that job."""
    return data_dir / FOLDER / f"{job}.log"


@dataclass(frozen=True)
class Event:
    """An event of a job: a new status, progress, or the end of an epoch."""

    id: int
    at: float
    kind: str  # status, progress or epoch
    data: Mapping[str, Any]
