"""Request and response schemas of batches."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from app.api.jobs.job_schemas import moment, moment_if_known
from catdog.jobs.job import Job, Status


class BatchRequest(BaseModel):
    """A request to classify the pictures of a data set."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"dataset": "pets"}})

    dataset: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$", description="The data set to classify.")


class Batch(BaseModel, frozen=True):
    """A batch of photos to classify."""

    id: str
    status: Status = Field(description="`queued`, `running`, `succeeded`, `failed` or `cancelled`.")
    reason: str | None = Field(description="Why it ended with this status, or why it was queued again.")
    dataset: str | None = Field(description="The data set; null for an uploaded ZIP.")
    photos: int | None = Field(description="Number of photos; null before a data set has been counted.")
    done: int = Field(description="Photos that have a row.")
    errors: int = Field(description="Rows with an error instead of an answer.")
    seconds_left: float | None = Field(description="Estimate, if there is one.")
    version: int | None = Field(description="The version that answered, when the batch has succeeded.")
    is_cancelling: bool = Field(description="Whether it was cancelled and hasn't ended yet.")
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(
            id=job.id,
            status=job.status,
            reason=job.reason,
            dataset=job.request.get("dataset"),
            photos=job.progress.get("photos", job.request.get("photos")),
            done=job.progress.get("done", 0),
            errors=job.progress.get("errors", 0),
            seconds_left=None if job.status.is_final else job.progress.get("seconds_left"),
            version=job.version,
            is_cancelling=job.status is Status.RUNNING and job.cancel_at is not None,
            submitted_at=moment(job.submitted_at),
            started_at=moment_if_known(job.started_at),
            ended_at=moment_if_known(job.ended_at),
        )


class Batches(BaseModel, frozen=True):
    """The newest batches, newest first."""

    batches: list[Batch]
