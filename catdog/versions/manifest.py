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

SCHEMA_VERSION: Final = 1  # raise it when a manifest gets a field that older code would misread


def _sorted_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    if len(classes) < 2 or not all(classes) or list(classes) != sorted(set(classes)):
        raise ValueError(f"must be two or more names, each once, in alphabetical order, not {list(classes)}")
    return classes


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Classes = Annotated[tuple[str, ...], AfterValidator(_sorted_classes)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Measure = Literal["probability", "familiarity"]  # of the class that was said; of `catdog.versions.ood`


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Schema(BaseModel):
    """What is read first, so that the fields of a newer manifest aren't called surplus."""

    schema_version: int


class WeightsFile(_Record):
    """Which .h5 file the manifest speaks of; `dtype` is that of the stored arrays.

    Where it `is_sharded`, the backbone is in one file and the head in another (`catdog.network.weights.FILES`);
    `sha256` is of both, one after the other.
    """

    sha256: Sha256
    bytes: NonNegativeInt
    dtype: StoredType
    is_sharded: bool = False

    @classmethod
    def of(cls, path: Path, dtype: StoredType) -> Self:
        """Describe the network at `path`, as `catdog.network.weights` reads it; OSError where it can't be read."""
        files = weights.files(path)
        size = sum(file.stat().st_size for file in files)
        return cls(sha256=sha256_of(*files), bytes=size, dtype=dtype, is_sharded=path.name == weights.INDEX)


class Metrics(_Record):
    """How good the version is on the photos of one split."""

    photos: PositiveInt
    accuracy: Fraction
    accuracy_low: Fraction  # of the 95% interval (Wilson)
    accuracy_high: Fraction
    log_loss: NonNegativeFloat  # nats a photo
    calibration_error: Fraction
    precision: dict[str, Fraction]  # by class
    recall: dict[str, Fraction]  # by class
    data: str  # which photos these were


class Dataset(_Record):
    """The photos that a version was trained on."""

    fingerprint: Sha256
    photos: dict[str, dict[str, NonNegativeInt]]  # by split, then by class


class Lineage(_Record):
    """How the version came about, so that it can be made again."""

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
    config: dict[str, JsonValue] = {}  # every choice of the training, as `training.fitting.config` names them
    job: str | None = None  # that asked for it


class Rule(_Record):
    """One rule of the promotion, applied: the candidate's number, the champion's, and both in words."""

    name: str
    passed: bool
    candidate: float
    champion: float
    sentence: str
    limit: float | None = None  # what the candidate's number may be at the least or at the most, where there is one
    chance: float | None = None  # how probable such a loss is between equals; below 0.05 the rule is broken


class Decision(_Record):
    """Whether the version should take the champion's place, and why; no rules where nothing could be measured."""

    promote: bool
    reason: str
    champion: PositiveInt | None  # the version that it was measured against
    photos: NonNegativeInt = 0  # that both were measured on
    rules: tuple[Rule, ...] = ()
    photos_missing: NonNegativeInt = 0  # test photos that would be enough, about, where there are too few
    photos_left_out: NonNegativeInt = 0  # test photos that it or the champion was trained on


class Golden(_Record):
    """What the version answers to the pictures of `catdog.versions.golden`, in one precision."""

    pictures: Sha256
    probabilities: tuple[tuple[Fraction, ...], ...]  # by picture, then in the order of the classes


class Measured(_Record):
    """How one precision did on the validation photos."""

    accuracy: Fraction
    log_loss: NonNegativeFloat  # nats a photo


class Quantization(_Record):
    """The int8 graph beside the weights: what it was made from, how good it is, and whether it serves."""

    weights: Sha256  # of the .h5 that it computes the same as, or nearly
    graph: Sha256  # of the .xml and the .bin, one after the other
    calibration_photos: PositiveInt  # of the training split, whose activations set its ranges
    photos: PositiveInt  # of the validation split, on which int8 was measured
    photos_f32: PositiveInt | None = None  # of these, on which float32 was; None for all of them
    f32: Measured  # on all of them, as far as those tell
    int8: Measured
    largest_difference: Fraction  # between two probabilities of a class, on the photos that both were measured on
    golden: Golden
    serves: bool
    reason: str


class Neither(_Record):
    """How well photos of none of the classes are told from others."""

    photos: PositiveInt
    told: Fraction  # of these, called unknown
    data: str  # which photos they were told from
    kept: Fraction  # of those, not called unknown
    auroc: Fraction  # how often one of those is more familiar than one of these: 1 is always, 0.5 chance


class Neighbours(_Record):
    """Features of training photos that photos are compared with, in a file of the version (`catdog.versions.ood`)."""

    sha256: Sha256  # of the file
    bytes: NonNegativeInt
    photos: PositiveInt  # whose features it holds
    nearest: PositiveInt  # of these, counted by their similarity: the similarity to this one counts
    usual_similarity: PositiveFloat  # of the photos that set the threshold: the median of that

    @model_validator(mode="after")
    def _check_nearest(self) -> Self:
        if self.nearest > self.photos:
            raise ValueError(f"its nearest photo no. {self.nearest} is one of {self.photos}")
        return self


Threshold = tuple[Fraction, NonNegativeFloat]  # the share of the photos that is kept, and the familiarity for it


class Unknown(_Record):
    """When the version says that a photo is like none of its classes, as `catdog.versions.ood` measures it."""

    usual_length: PositiveFloat | None = None  # of an earlier catdog: median length of the features of these photos
    neighbours: Neighbours | None = None
    threshold: NonNegativeFloat  # a familiarity below it is unknown
    photos: PositiveInt  # that set it all: validation photos, and with few of those the training photos of a head
    kept: Fraction  # of these, not called unknown
    thresholds: tuple[Threshold, ...] = ()  # for other shares of the photos of the classes, which ascend
    neither: Neither | None = None  # where such photos were given
    set_by: PositiveInt | None = None  # the version that a head has it from, with its convolutions

    @model_validator(mode="after")
    def _check_measure(self) -> Self:
        if (self.usual_length is None) is (self.neighbours is None):
            raise ValueError("needs either usual_length or neighbours")
        for (less, above), (more, below) in pairwise(self.thresholds):
            if less >= more or above < below:
                raise ValueError("the shares of its thresholds must ascend, and the thresholds never")
        return self


class Histogram(_Record):
    """Photos by one number. A bin begins at its edge and ends below the next; the first lies below all edges."""

    edges: Annotated[tuple[float, ...], Field(min_length=1)]  # ascending
    photos: tuple[NonNegativeInt, ...]  # by bin, of which there is one more than there are edges

    @model_validator(mode="after")
    def _check_bins(self) -> Self:
        if len(self.photos) != len(self.edges) + 1 or not sum(self.photos):
            raise ValueError("must have one bin more than edges, and a photo in one")
        if any(edge >= following for edge, following in pairwise(self.edges)):
            raise ValueError("its edges must ascend")
        return self

    def bin_of(self, value: float) -> int:
        """The place of the bin that holds the value."""
        return bisect_right(self.edges, value)


class Manifest(_Record):
    """The description that stands beside the weights of one version."""

    schema_version: Literal[1] = SCHEMA_VERSION
    version: PositiveInt
    created: Moment
    classes: Classes  # in the order of the logits
    width: float
    head: Head
    preprocessing: Sha256  # catdog.images.FINGERPRINT when the version was trained
    weights: WeightsFile
    temperature: PositiveFloat
    noise: Fraction = 0.0  # share of every answer that all classes get alike
    metrics: dict[str, Metrics]  # by split
    lineage: Lineage
    decision: Decision | None = None
    golden: Golden | None = None  # in float32
    quantization: Quantization | None = None
    unquantized: str | None = None  # why there is no int8 graph
    unknown: Unknown | None = None
    histograms: dict[Measure, Histogram] = {}  # of the validation photos, which later ones are compared with

    @model_validator(mode="after")
    def _describe_a_network(self) -> Self:
        _ = self.architecture
        if self.quantization is not None and self.quantization.weights != self.weights.sha256:
            raise ValueError("quantization: its graph was made from other weights")
        return self

    @property
    def calibration(self) -> Calibration:
        """How the network's logits become probabilities."""
        return Calibration(self.temperature, self.noise)

    @property
    def architecture(self) -> Architecture:
        """The network that the weights belong to."""
        return Architecture(len(self.classes), self.width, self.head)

    def to_json(self) -> str:
        """The same text for the same manifest, one field a line."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The manifest in `text`; ValueError in one line where there is none."""
        try:
            schema = _Schema.model_validate_json(text).schema_version
            if schema > SCHEMA_VERSION:
                raise ValueError(f"made by a newer catdog (schema {schema}, not {SCHEMA_VERSION}); update catdog")
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ValueError(faults.in_one_line(error.errors(include_url=False))) from error
