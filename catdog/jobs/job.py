"""A training job as the database stores it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

FOLDER = "jobs"  # in the data folder: their logs, and what a stopped one goes on from


class Status(StrEnum):
    """What has become of a job."""

    QUEUED = "queued"  # it waits for a worker
    RUNNING = "running"  # a worker is at it
    SUCCEEDED = "succeeded"  # a version was published; whether it serves is in the decision
    FAILED = "failed"  # no version came of it; the reason says why
    CANCELLED = "cancelled"  # somebody ended it before a version came of it

    @property
    def is_final(self) -> bool:
        return self not in (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True)
class Job:
    """What is known of it; moments are seconds since 1970."""

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


def log_file(data_dir: Path, job: str) -> Path:
    """Where the trainer's output goes while it is at that job."""
    return data_dir / FOLDER / f"{job}.log"


@dataclass(frozen=True)
class Event:
    """Something that happened to a job: it came to a status, got on, or ended an epoch."""

    id: int
    at: float
    kind: str  # status, progress or epoch
    data: Mapping[str, Any]
