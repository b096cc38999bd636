"""What the client returns. Other fields of the service's answers are ignored."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from catdog.jobs.job import Status
from catdog.versions.same_photos import DifferentPhoto, SamePhotos


class Prediction(BaseModel, frozen=True):
    """The answer for one photo; probabilities are calibrated, from 0 to 1."""

    label: str
    probability: float
    probabilities: dict[str, float]
    unknown: bool
    familiarity: float | None
    model_version: int
    prediction_id: str


class Version(BaseModel, frozen=True):
    """The version in service after a promotion or rollback."""

    version: int
    classes: list[str]


class Uploaded(BaseModel, frozen=True):
    """What an upload added to a data set: pictures that are new, and pictures that it had."""

    dataset: str
    added: int
    known: int
    skipped: list[dict[str, str]]


class Picture(BaseModel, frozen=True):
    """A labelled picture of a data set."""

    sha256: str
    label: str
    split: str


class Job(BaseModel, frozen=True):
    """A training: its progress from 0 to 1, and its result when it has ended."""

    id: str
    status: Status
    reason: str | None
    phase: str | None
    progress: float
    seconds_left: float | None
    decision: dict[str, Any] | None
    version: int | None
    submitted_at: datetime
    ended_at: datetime | None


class Batch(BaseModel, frozen=True):
    """Photos that are classified in the background: how many have a row, and how many of these have an error."""

    id: str
    status: Status
    reason: str | None
    dataset: str | None
    photos: int | None
    done: int
    errors: int
    seconds_left: float | None
    version: int | None
    submitted_at: datetime
    ended_at: datetime | None


class Row(BaseModel, frozen=True):
    """The answer for one photo of a batch, or its error."""

    model_config = ConfigDict(extra="allow")  # one column for each class

    path: str
    label: str | None
    probability: float | None
    unknown: bool | None
    version: int
    error: str | None

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each class, by its column; empty for a row with an error."""
        return {} if self.error is not None else dict(self.model_extra or {})


class Comparison(BaseModel, frozen=True):
    """Two versions on the same photos: the progress from 0 to 1, and the result when it has succeeded.

    `different` holds the photos for which they name different classes, for a key with the role `label`.
    """

    id: str
    status: Status
    reason: str | None
    versions: tuple[int, int]
    dataset: str
    split: str
    progress: float
    result: SamePhotos | None
    different: list[DifferentPhoto]
    submitted_at: datetime
    ended_at: datetime | None
