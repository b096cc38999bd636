"""Request and response schemas of data sets, feedback and review."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from app.retraining.review_order import SURE, Reason, ToReview
from app.serving.prediction import Prediction
from app.web.problem_details import Problem
from catdog.datasets.archive import Unpacked
from catdog.datasets.picture_files import Added, Picture
from catdog.jobs.job import Job, Status
from catdog.names import LIMIT_CHARACTERS
from catdog.versions.measurements import Measure

FEEDBACK = "feedback"


class StoredPicture(BaseModel, frozen=True):
    """A picture of a data set."""

    sha256: str = Field(description="SHA-256 of its bytes, by which it is addressed.")
    name: str = Field(description="Name of the file, for display.")
    label: str
    split: str = Field(
        description="`train`, `validation` or `test`: chosen by the uploader, else by the picture's content."
    )
    source: str = Field(description="How it was added: `upload`, `archive`, `import` or `feedback`.")
    added_at: datetime

    @classmethod
    def of(cls, picture: Picture) -> Self:
        return cls(**vars(picture) | {"added_at": datetime.fromtimestamp(picture.added_at, UTC)})


class AddedPicture(BaseModel, frozen=True):
    """One file's picture in the data set, or its own problem: exactly one of the two is set."""

    picture: StoredPicture | None = None
    is_new: bool | None = Field(default=None, description="False if the data set had it already.")
    problem: Problem | None = None

    @classmethod
    def of(cls, added: Added) -> Self:
        return cls(picture=StoredPicture.of(added.picture), is_new=added.is_new)


RENAMED = "Classes that were sent in another spelling than the data set's, with that spelling: `Cat` and `cat`."


class AddedPictures(BaseModel, frozen=True):
    """One item per file, in the order of the request."""

    dataset: str
    results: list[AddedPicture]
    renamed: dict[str, str] = Field(description=RENAMED)


class SkippedMember(BaseModel, frozen=True):
    """A file of an archive that was left out."""

    name: str
    reason: str


class AddedArchive(BaseModel, frozen=True):
    """The result of adding an archive."""

    dataset: str
    added: int = Field(description="Pictures that are new in the data set.")
    known: int = Field(description="Pictures that the data set had already.")
    counts: dict[str, dict[str, int]] = Field(description="Pictures of the archive by split, then by class.")
    renamed: dict[str, str] = Field(description=RENAMED)
    empty: list[str] = Field(description="Class folders without a picture.")
    skipped: list[SkippedMember] = Field(description="Files that aren't pictures of a class, and why.")

    @classmethod
    def of(cls, dataset: str, added: list[Added], unpacked: Unpacked) -> Self:
        new = sum(one.is_new for one in added)
        return cls(
            dataset=dataset,
            added=new,
            known=len(added) - new,
            counts=_counts([one.picture for one in added]),
            renamed=renamed((member.label for member, _ in unpacked.pictures), added),
            empty=unpacked.empty,
            skipped=[SkippedMember(name=name, reason=reason) for name, reason in unpacked.skipped],
        )


class LastTraining(BaseModel, frozen=True):
    """The newest training on a data set."""

    job: str = Field(description="Its id: `GET /retrain/{job}`.")
    status: Status
    submitted_at: datetime
    version: int | None = Field(description="The version that it published.")

    @classmethod
    def of(cls, job: Job) -> Self:
        at = datetime.fromtimestamp(job.submitted_at, UTC)
        return cls(job=job.id, status=job.status, submitted_at=at, version=job.version)


class Dataset(BaseModel, frozen=True):
    """The number of pictures in a data set, and its last training."""

    name: str
    pictures: int
    counts: dict[str, dict[str, int]] = Field(description="Pictures by split, then by class.")
    last_training: LastTraining | None = Field(description="Null if there is none, or none is kept.")

    @classmethod
    def of(cls, name: str, counts: dict[str, dict[str, int]], trained: Job | None) -> Self:
        return cls(
            name=name,
            pictures=sum(sum(by_class.values()) for by_class in counts.values()),
            counts=counts,
            last_training=None if trained is None else LastTraining.of(trained),
        )


class Datasets(BaseModel, frozen=True):
    """Every data set."""

    datasets: list[Dataset]


def renamed(asked: Iterable[str], added: Iterable[Added]) -> dict[str, str]:
    """The stored label of each requested one, if they differ."""
    labels = zip(asked, (one.picture.label for one in added), strict=True)
    return {label: stored for label, stored in labels if label != stored}


def _counts(pictures: Iterable[Picture]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for picture in pictures:
        split = counts.setdefault(picture.split, {})
        split[picture.label] = split.get(picture.label, 0) + 1
    return counts


class Feedback(BaseModel):
    """What a predicted photo really shows."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"prediction_id": "187f3c5b8a1d2e4f0a1b2c3d4e5f6071", "label": "dog"}},
    )

    prediction_id: str = Field(max_length=64, description="Id of the answer.")
    label: str = Field(
        min_length=1, max_length=4 * LIMIT_CHARACTERS, description="One of the model's classes, or `neither`."
    )
    dataset: str = Field(default=FEEDBACK, max_length=64, description="The data set that the photo goes to.")


class OtherAnswer(BaseModel, frozen=True):
    """What a version on trial says of a photo, instead of the champion's answer."""

    label: str
    probability: float = Field(description="Of that class, 0-1.")
    unknown: bool = Field(description="Whether it is like no class.")


class ReviewItem(BaseModel, frozen=True):
    """A predicted photo without a label."""

    prediction: Prediction
    predicted_at: datetime
    picture: str = Field(description="Path of the photo.")
    reason: Reason = Field(
        description="Why it is listed: `unknown`: it is like no class; `disagreement`: a version on trial gave another"
        f" answer; `unsure`: its probability is below {SURE}; `next`: no photo that is more worth a label comes first."
    )
    other: OtherAnswer | None = Field(description="The answer of the version on trial, if it is another one.")

    @classmethod
    def of(cls, one: ToReview) -> Self:
        kept, other = one
        return cls(
            prediction=kept.prediction,
            reason=one.reason,
            other=None if other is None else OtherAnswer(**other.model_dump()),
            predicted_at=datetime.fromtimestamp(kept.predicted_at, UTC),
            picture=f"/review/{kept.prediction.prediction_id}/picture",
        )


class Review(BaseModel, frozen=True):
    """The kept photos without a label that are most worth one, in the order that was asked for."""

    items: list[ReviewItem]
    drifted: tuple[Measure, ...] = Field(
        description="What has drifted within the last hour, as in `GET /drift`: if anything has, labels are most useful"
        " now."
    )
