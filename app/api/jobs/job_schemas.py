"""Request and response schemas of training jobs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from catdog.jobs.job import Job, Status

NOTE_CHARACTERS = 500
NO_NUL = r"^[^\x00]*$"  # PostgreSQL's text type can't store NUL
STRATEGIES_WITH = {  # the strategies that a field is for
    "epochs": ("finetune", "compress"),
    "batch_size": ("finetune", "compress"),
    "unfreeze": ("finetune",),
    "width": ("compress",),
    "target_macs": ("compress",),
}
SHOWN_OF_FINDINGS = ("kind", "sentence", "count")  # what is shown to keys that may not see photos


class RetrainRequest(BaseModel):
    """A request to train on a data set."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"dataset": "pets", "strategy": "head", "promote": "auto"}},
    )

    dataset: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$", description="The data set to train on.")
    strategy: Literal["head", "finetune", "compress"] = Field(
        default="head",
        description="`head`: a new linear head, in seconds; `finetune`: the network's last blocks as well, in minutes"
        " to hours; `compress`: a smaller and faster network that learns to answer like the champion, in hours.",
    )
    backbone: Literal["auto", "champion", "imagenet"] = Field(
        default="auto",
        description="The convolutions that the training starts from: the `champion`'s, or those of `imagenet`'s VGG16,"
        " which are downloaded once (59 MB). `auto` is the champion's for the champion's own classes, ImageNet's for"
        " any others.",
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Epochs of `finetune`, by default enough for about 500 steps, from 3 to 30; or of `compress`.",
    )
    unfreeze: int | None = Field(
        default=None, ge=1, le=5, description="Blocks that `finetune` trains, from the last; 2 by default."
    )
    batch_size: int | None = Field(
        default=None, ge=1, le=256, description="Photos per step of `finetune`, 32 by default, or `compress`, 64."
    )
    width: float | None = Field(
        default=None, gt=0, le=1, description="Channels that `compress` keeps, as a share of VGG16's; 0.25 by default."
    )
    target_macs: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Instead of `width`: multiply-adds that `compress` keeps, as a share of the champion's, with more"
        " channels in the layers where they matter more.",
    )
    promote: Literal["auto", "shadow", "never"] = Field(
        default="auto",
        description="`auto` puts the new version into service if enough test photos show that it is no worse than the"
        " champion; `shadow` then runs it next to the champion first, and live photos decide (`GET /shadow`); `never`"
        " only publishes it.",
    )
    notes: str = Field(
        default="",
        max_length=NOTE_CHARACTERS,
        pattern=NO_NUL,
        description="Stored and shown with the version.",
    )

    @model_validator(mode="after")
    def _fit_the_strategy(self) -> Self:
        for name, strategies in STRATEGIES_WITH.items():
            if getattr(self, name) is not None and self.strategy not in strategies:
                known = " or ".join(strategies)
                raise ValueError(f"{name} is for the strategy {known}; leave it out, or choose that strategy")
        if self.width is not None and self.target_macs is not None:
            raise ValueError("width and target_macs exclude each other; leave one of them out")
        if self.strategy == "compress" and self.backbone == "imagenet":
            raise ValueError("compress starts from the champion; leave backbone out")
        return self


class RetrainJob(BaseModel, frozen=True):
    """A training job."""

    id: str
    status: Status = Field(description="`queued`, `running`, `succeeded`, `failed` or `cancelled`.")
    request: dict[str, Any] = Field(description="The request of the job.")
    trigger: str = Field(
        description="What made the service queue it: `request`, or for a training that started by itself the reason,"
        " such as `50 new labels` or `schedule 0 3 * * *`."
    )
    reason: str | None = Field(description="Why it ended with this status, or why it was queued again.")
    phase: str | None = Field(
        description="What the worker is doing: `downloading` ImageNet's weights, `examining`, `features`, `fitting`,"
        " `quantizing`, `measuring` or `publishing`."
    )
    backbone: str | None = Field(
        description="Which backbone `auto` chose, and why; null before that, and if the request named one."
    )
    progress: float = Field(ge=0, le=1, description="Progress of the job.")
    photos_done: int | None = Field(description="In the phases that look at new photos: how many are done.")
    photos: int | None = Field(description="The number of new photos in such a phase.")
    seconds_left: float | None = Field(description="Estimate for the phase, if there is one.")
    epoch: int | None = Field(description="Last completed epoch, if the training has epochs.")
    epochs: int | None = Field(description="Number of epochs.")
    metrics: dict[str, float] | None = Field(
        description="Metrics of that epoch; after success those of the version on its test photos, or on its validation"
        " photos without test photos."
    )
    findings: list[Any] | None = Field(
        description="Problems found in the pictures: their number, and with the role `label` the `photos`."
    )
    decision: dict[str, Any] | None = Field(description="Whether the new version was promoted, with the numbers.")
    version: int | None = Field(description="The version that it published.")
    is_cancelling: bool = Field(description="Whether it was cancelled and hasn't ended yet.")
    attempt: int = Field(description="Number of attempts; a job whose worker died is run once more.")
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, job: Job, sees_photos: bool = False) -> Self:
        """The job, with the names of users' files only for those who may see photos."""
        progress: Mapping[str, Any] = job.progress
        left = progress.get("seconds_left")
        return cls(
            id=job.id,
            status=job.status,
            request=dict(job.request),
            trigger=job.trigger,
            reason=job.reason,
            phase=progress.get("phase"),
            backbone=progress.get("backbone"),
            progress=1.0 if job.status is Status.SUCCEEDED else progress.get("progress", 0.0),
            photos_done=None if job.status.is_final else progress.get("photos_done"),
            photos=None if job.status.is_final else progress.get("photos"),
            seconds_left=None if job.status.is_final or left is None else round(left, 1),
            epoch=progress.get("epoch"),
            epochs=progress.get("epochs"),
            metrics=progress.get("metrics"),
            findings=job.findings if sees_photos else _without_photos(job.findings),
            decision=None if job.decision is None else dict(job.decision),
            version=job.version,
            is_cancelling=job.status is Status.RUNNING and job.cancel_at is not None,
            attempt=job.attempts,
            submitted_at=moment(job.submitted_at),
            started_at=moment_if_known(job.started_at),
            ended_at=moment_if_known(job.ended_at),
        )


class RetrainJobs(BaseModel, frozen=True):
    """The newest jobs, newest first, without findings."""

    jobs: list[RetrainJob]


class Findings(BaseModel, frozen=True):
    """Problems found in the pictures of a job."""

    findings: list[Any] | None = Field(description="Null until the pictures have been checked.")


def _without_photos(findings: list[Any] | None) -> list[Any] | None:
    """The findings with only what every key may see: kind, sentence and number of photos."""
    if findings is None:
        return None
    return [{"photos": []} | {name: found[name] for name in SHOWN_OF_FINDINGS if name in found} for found in findings]


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_if_known(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)
