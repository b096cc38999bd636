"""The manifest of a model version: weights, classes, metrics and lineage."""

from bisect import bisect_right
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from catdog import faults
from catdog.network import weights
from catdog.network.architecture import Architecture, Head
from catdog.network.weights import StoredType
from catdog.system.durable import sha256_of
from catdog.versions.calibration import Calibration

SCHEMA_VERSION: Final = 1  # increase it when a manifest gets a field that older code would misread


def _sorted_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    if len(classes) < 2 or not all(classes) or list(classes) != sorted(set(classes)):
        raise ValueError(f"must be at least two names, each once, in alphabetical order, not {list(classes)}")
    return classes


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Classes = Annotated[tuple[str, ...], AfterValidator(_sorted_classes)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Measure = Literal["probability", "familiarity"]  # of the predicted class; of `catdog.versions.ood`


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Schema(BaseModel):
    """Read first, so that fields of a newer manifest aren't reported as unknown."""

    schema_version: int


class WeightsFile(_Record):
    """The .h5 file that the manifest describes; `dtype` is the type of the stored arrays.

    If `is_sharded`, the backbone and the head are in separate files (`catdog.network.weights.FILES`), and `sha256` is
    of both, concatenated.
    """

    sha256: Sha256
    bytes: NonNegativeInt
    dtype: StoredType
    is_sharded: bool = False

    @classmethod
    def of(cls, path: Path, dtype: StoredType) -> Self:
        """Describe the network at `path` (see `catdog.network.weights`); OSError if it can't be read."""
        files = weights.files(path)
        size = sum(file.stat().st_size for file in files)
        return cls(sha256=sha256_of(*files), bytes=size, dtype=dtype, is_sharded=path.name == weights.INDEX)


class Metrics(_Record):
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


class Dataset(_Record):
    """The photos that a version was trained on."""

    fingerprint: Sha256
    photos: dict[str, dict[str, NonNegativeInt]]  # by split, then by class


class Lineage(_Record):
    """How the version was made, so that it can be reproduced."""

    command: str
    recipe: str | None
    strategy: Literal["head", "finetune", "full"]
    backbone: str
    parent: PositiveInt | None  # the version whose weights it started from
    dataset: Dataset
    seed: int
    seconds: NonNegativeFloat
    hardware: str
    libraries: dict[str, str]  # versions by name
    notes: str
    config: dict[str, JsonValue] = {}  # the fields of `training.fitting.config.Config`
    job: str | None = None  # the training job, if any


class Rule(_Record):
    """The result of one promotion rule: the candidate's and the champion's numbers, and a sentence."""

    name: str
    passed: bool
    candidate: float
    champion: float
    sentence: str
    limit: float | None = None  # smallest or largest allowed number of the candidate, if any
    chance: float | None = None  # p-value: the probability of such a loss between equals; below 0.05 the rule is broken


class Decision(_Record):
    """Whether the version should replace the champion, and why; `rules` is empty if nothing could be measured."""

    promote: bool
    reason: str
    champion: PositiveInt | None  # the version that it was measured against
    photos: NonNegativeInt = 0  # on which both were measured
    rules: tuple[Rule, ...] = ()
    photos_missing: NonNegativeInt = 0  # approximate number of further test photos needed, 0 if there are enough
    photos_left_out: NonNegativeInt = 0  # test photos not counted, because it or the champion was trained on them


class Golden(_Record):
    """The version's answers to the pictures of `catdog.versions.golden`, in one precision."""

    pictures: Sha256
    probabilities: tuple[tuple[Fraction, ...], ...]  # by picture, then in the order of the classes


class Measured(_Record):
    """The metrics of one precision on the validation photos."""

    accuracy: Fraction
    log_loss: NonNegativeFloat  # nats per photo


class Quantization(_Record):
    """The int8 graph next to the weights: its sources, its accuracy, and whether it serves."""

    weights: Sha256  # of the .h5 that it was made from
    graph: Sha256  # of the .xml and the .bin, concatenated
    calibration_photos: PositiveInt  # of the training split, which set the ranges of the activations
    photos: PositiveInt  # of the validation split, on which int8 was measured
    photos_f32: PositiveInt | None = None  # of these, on which float32 was measured; None for all
    f32: Measured  # estimated for all of them
    int8: Measured
    largest_difference: Fraction  # between two probabilities of a class, on the photos on which both were measured
    golden: Golden
    serves: bool
    reason: str


class Neither(_Record):
    """How well the detector distinguishes photos of none of the classes from others."""

    photos: PositiveInt
    told: Fraction  # share of the photos of none of the classes that are called unknown
    data: str  # a description of the photos of the classes
    kept: Fraction  # share of the photos of the classes that are not called unknown
    auroc: Fraction  # area under the ROC curve: 1 is perfect, 0.5 chance


class Neighbours(_Record):
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


class Unknown(_Record):
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


class Histogram(_Record):
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


class Manifest(_Record):
    """The description of one version, stored next to its weights."""

    schema_version: Literal[1] = SCHEMA_VERSION
    version: PositiveInt
    created: Moment
    classes: Classes  # in the order of the logits
    width: float
    head: Head
    preprocessing: Sha256  # catdog.images.FINGERPRINT when the version was trained
    weights: WeightsFile
    temperature: PositiveFloat
    noise: Fraction = 0.0  # share of every answer that is spread evenly over all classes
    metrics: dict[str, Metrics]  # by split
    lineage: Lineage
    decision: Decision | None = None
    golden: Golden | None = None  # in float32
    quantization: Quantization | None = None
    unquantized: str | None = None  # why there is no int8 graph
    unknown: Unknown | None = None
    histograms: dict[Measure, Histogram] = {}  # of the validation photos, to detect drift

    @model_validator(mode="after")
    def _describe_a_network(self) -> Self:
        _ = self.architecture
        if self.quantization is not None and self.quantization.weights != self.weights.sha256:
            raise ValueError("quantization: its graph was made from other weights")
        return self

    @property
    def calibration(self) -> Calibration:
        """The map from logits to probabilities."""
        return Calibration(self.temperature, self.noise)

    @property
    def architecture(self) -> Architecture:
        """The architecture of the weights."""
        return Architecture(len(self.classes), self.width, self.head)

    def to_json(self) -> str:
        """The manifest as text, one field per line; equal manifests give the same text."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The manifest in `text`; ValueError with a one-line message if it is invalid."""
        try:
            schema = _Schema.model_validate_json(text).schema_version
            if schema > SCHEMA_VERSION:
                raise ValueError(f"made by a newer catdog (schema {schema}, not {SCHEMA_VERSION}); update catdog")
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ValueError(faults.in_one_line(error.errors(include_url=False))) from error
