"""Request and response schemas of comparisons of two versions on the same photos."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.jobs.job_schemas import moment, moment_if_known
from catdog.jobs.job import Job, Status
from catdog.versions.same_photos import DifferentPhoto, SamePhotos

Number = Annotated[int, Field(ge=1, lt=10**18)]


class ComparisonRequest(BaseModel):
    """A request to compare two versions on the same photos of a data set."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"versions": [2, 1], "dataset": "pets", "split": "test"}}
    )

    versions: list[Number] = Field(min_length=2, max_length=2, description="The two versions.")
    dataset: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$", description="The data set whose photos are asked about.")
    split: Literal["test", "validation"] = Field(
        default="test",
        description="Which of its photos: versions were calibrated on validation photos, test photos are new to them.",
    )

    @model_validator(mode="after")
    def _are_two(self) -> Self:
        if len(set(self.versions)) < 2:
            raise ValueError("versions names the same version twice; name two versions")
        return self


class VersionComparison(BaseModel, frozen=True):
    """A comparison of two versions on the same photos."""

    id: str
    status: Status = Field(description="`queued`, `running`, `succeeded`, `failed` or `cancelled`.")
    reason: str | None = Field(description="Why it ended with this status, or why it was queued again.")
    versions: list[int]
    dataset: str
    split: str
    phase: str | None = Field(description="The version that looks at the photos: the `first` or the `second`.")
    progress: float = Field(ge=0, le=1, description="Progress of the comparison.")
    photos_done: int | None = Field(description="Photos that this version has looked at, of those new to it.")
    photos: int | None = Field(description="Number of photos that are new to it.")
    result: SamePhotos | None = Field(description="What it found; null before it has succeeded.")
    different: list[DifferentPhoto] = Field(
        description="Photos for which the two name different classes, at most 200; only with the role `label`."
    )
    is_cancelling: bool = Field(description="Whether it was cancelled and hasn't ended yet.")
    submitted_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, job: Job, sees_photos: bool = False) -> Self:
        """The comparison, with photos only for those who may see them."""
        progress = job.progress
        return cls(
            id=job.id,
            status=job.status,
            reason=job.reason,
            versions=job.request["versions"],
            dataset=job.request["dataset"],
            split=job.request["split"],
            phase=progress.get("phase"),
            progress=1.0 if job.status is Status.SUCCEEDED else progress.get("progress", 0.0),
            photos_done=None if job.status.is_final else progress.get("photos_done"),
            photos=None if job.status.is_final else progress.get("photos"),
            result=None if job.decision is None else SamePhotos.model_validate(job.decision),
            different=job.findings[0]["photos"] if sees_photos and job.findings else [],
            is_cancelling=job.status is Status.RUNNING and job.cancel_at is not None,
            submitted_at=moment(job.submitted_at),
            ended_at=moment_if_known(job.ended_at),
        )


class VersionComparisons(BaseModel, frozen=True):
    """The newest comparisons, newest first, without their photos."""

    comparisons: list[VersionComparison]
