"""What a manifest says about how a version was measured."""

from bisect import bisect_right
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from catdog.engines.engine import Precision

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Measure = Literal["probability", "familiarity"]  # of the predicted class; of `catdog.versions.ood`


class Record(BaseModel):
    """Part of a manifest: strict, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Metrics(Record):
    """The metrics of the version on one split."""

    photos: PositiveInt
    accuracy: Fraction
    accuracy_low: Fraction  # of the 95% interval (Wilson)
    accuracy_high: Fraction
    log_loss: NonNegativeFloat  # nats per photo
    calibration_error: Fraction
    precision: dict[str, Fraction]  # by class
    recall: dict[str, Fraction]  # by class
    data: str  # a description of the photos


class Measured(Record):
    """The metrics of one precision on the validation photos."""

    accuracy: Fraction
    log_loss: NonNegativeFloat  # nats per photo


class Neither(Record):
    """How well the detector distinguishes photos of none of the classes from others."""

    photos: PositiveInt
    told: Fraction  # share of the photos of none of the classes that are called unknown
    data: str  # a description of the photos of the classes
    kept: Fraction  # share of the photos of the classes that are not called unknown
    auroc: Fraction  # area under the ROC curve: 1 is perfect, 0.5 chance


class Neighbours(Record):
    """Features of training photos that photos are compared with, in a file of the version (`catdog.versions.ood`)."""

    sha256: Sha256  # of the file
    bytes: NonNegativeInt
    photos: PositiveInt  # number of photos with features in it
    nearest: PositiveInt  # k: the similarity to the k-th nearest photo counts
    usual_similarity: PositiveFloat  # median similarity of the photos that set the threshold

    @model_validator(mode="after")
    def _check_nearest(self) -> Self:
        if self.nearest > self.photos:
            raise ValueError(f"nearest must be at most photos, {self.photos}, not {self.nearest}")
        return self


Threshold = tuple[Fraction, NonNegativeFloat]  # the share of the photos that is kept, and its familiarity


class Unknown(Record):
    """When the version calls a photo unknown, as measured by `catdog.versions.ood`."""

    usual_length: PositiveFloat | None = (
        None  # of earlier versions of catdog: median length of the features of these photos
    )
    neighbours: Neighbours | None = None
    threshold: NonNegativeFloat  # a familiarity below it is unknown
    photos: (
        PositiveInt  # number that set the thresholds: validation photos, and if these are few a head's training photos
    )
    kept: Fraction  # of these, not called unknown
    thresholds: tuple[Threshold, ...] = ()  # for other shares of the photos of the classes, ascending
    neither: Neither | None = None  # if such photos were given
    set_by: PositiveInt | None = None  # the version that a head got it from, with its convolutions

    @model_validator(mode="after")
    def _check_measure(self) -> Self:
        if (self.usual_length is None) is (self.neighbours is None):
            raise ValueError("needs either usual_length or neighbours")
        for (less, above), (more, below) in pairwise(self.thresholds):
            if less >= more or above < below:
                raise ValueError("the shares of its thresholds must ascend, and the thresholds must not")
        return self


class Speed(Record):
    """Photos that the version answered a second where it was published, decoding left out."""

    photos_per_second: PositiveFloat
    precision: Precision


class Histogram(Record):
    """Numbers of photos by bin. A bin begins at its edge and ends below the next; the first is below all edges."""

    edges: Annotated[tuple[float, ...], Field(min_length=1)]  # ascending
    photos: tuple[NonNegativeInt, ...]  # by bin; one more than edges

    @model_validator(mode="after")
    def _check_bins(self) -> Self:
        if len(self.photos) != len(self.edges) + 1 or not sum(self.photos):
            raise ValueError("must have one bin more than edges, and at least one photo")
        if any(edge >= following for edge, following in pairwise(self.edges)):
            raise ValueError("its edges must ascend")
        return self

    def bin_of(self, value: float) -> int:
        """The index of the bin that contains the value."""
        return bisect_right(self.edges, value)
