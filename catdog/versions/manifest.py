"""The manifest of a model version: weights, classes, metrics and lineage."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
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
from catdog.versions.measurements import Fraction, Histogram, Measure, Measured, Metrics, Record, Sha256, Speed, Unknown

SCHEMA_VERSION: Final = 1  # increase it when a manifest gets a field that older code would misread


def _sorted_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    if len(classes) < 2 or not all(classes) or list(classes) != sorted(set(classes)):
        raise ValueError(f"must be at least two names, each once, in alphabetical order, not {list(classes)}")
    return classes


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Classes = Annotated[tuple[str, ...], AfterValidator(_sorted_classes)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class _Schema(BaseModel):
    """Read first, so that fields of a newer manifest aren't reported as unknown."""

    schema_version: int


class WeightsFile(Record):
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


class Dataset(Record):
    """The photos that a version was trained on."""

    fingerprint: Sha256
    photos: dict[str, dict[str, NonNegativeInt]]  # by split, then by class


class Lineage(Record):
    """How the version was made, so that it can be reproduced."""

    command: str
    recipe: str | None
    strategy: Literal["head", "finetune", "full", "compress"]
    backbone: str
    parent: PositiveInt | None  # the version whose weights it started from
    dataset: Dataset
    seed: int
    seconds: NonNegativeFloat
    hardware: str
    libraries: dict[str, str]  # versions by name
    notes: str
    config: dict[str, JsonValue] = Field(default_factory=dict)  # the fields of `training.fitting.config.Config`
    job: str | None = None  # the training job, if any


class Rule(Record):
    """The result of one promotion rule: the candidate's and the champion's numbers, and a sentence."""

    name: str
    passed: bool
    candidate: float
    champion: float
    sentence: str
    limit: float | None = None  # smallest or largest allowed number of the candidate, if any
    chance: float | None = None  # p-value: the probability of such a loss between equals; below 0.05 the rule is broken


class Decision(Record):
    """Whether the version should replace the champion, and why; `rules` is empty if nothing could be measured."""

    promote: bool
    reason: str
    champion: PositiveInt | None  # the version that it was measured against
    photos: NonNegativeInt = 0  # on which both were measured
    rules: tuple[Rule, ...] = ()
    photos_missing: NonNegativeInt = 0  # approximate number of further test photos needed, 0 if there are enough
    photos_left_out: NonNegativeInt = 0  # test photos not counted, because it or the champion was trained on them


class Golden(Record):
    """The version's answers to the pictures of `catdog.versions.golden`, in one precision."""

    pictures: Sha256
    probabilities: tuple[tuple[Fraction, ...], ...]  # by picture, then in the order of the classes


class Quantization(Record):
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


class Manifest(Record):
    """The description of one version, stored next to its weights."""

    schema_version: Literal[1] = SCHEMA_VERSION
    version: PositiveInt
    created: Moment
    classes: Classes  # in the order of the logits
    width: float
    channels: tuple[PositiveInt, ...] | None = None  # of each convolution, unless `width` determines them
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
    speed: Speed | None = None  # on the hardware of the lineage
    histograms: dict[Measure, Histogram] = Field(default_factory=dict)  # of the validation photos, to detect drift

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
        return Architecture(len(self.classes), self.width, self.head, self.channels)

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
