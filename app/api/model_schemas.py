"""Response schemas of model versions."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from catdog.engines.engine import Precision
from catdog.network.architecture import Head
from catdog.versions import ood
from catdog.versions.manifest import Decision, Manifest, Metrics, Neither, Quantization


class Network(BaseModel, frozen=True):
    """The network, as the paper counts it."""

    name: Literal["VGG16"] = "VGG16"
    width: float = Field(description="Multiplier of every layer's channels; 1.0 is the paper's network.")
    head: Head = Field(description="`pooled`: global average pooling and one dense layer; `classic`: the paper's.")
    parameters: int


class Training(BaseModel, frozen=True):
    """How the version came about."""

    recipe: str | None = Field(description="The named recipe, where there is one.")
    strategy: str = Field(description="`head`, `finetune` or `full`.")
    parent: int | None = Field(description="The version whose weights it started from.")
    job: str | None = Field(description="The job that asked for it, where one did.")
    photos: dict[str, dict[str, int]] = Field(description="How many photos it was made with, by split and class.")
    seconds: float
    hardware: str
    notes: str


class Int8(BaseModel, frozen=True):
    """The version's network in int8, measured when it was published."""

    serves: bool = Field(
        description="Whether it loses so little that it serves, unless `CATDOG_PRECISION` says otherwise."
    )
    reason: str
    photos: int = Field(
        description="Validation photos that int8 was measured on; float32 on as many of them as settle it."
    )
    accuracy: float
    accuracy_f32: float
    log_loss: float
    log_loss_f32: float
    largest_difference: float = Field(
        description="Between two probabilities of a class, on the photos that both were measured on."
    )

    @classmethod
    def of(cls, quantization: Quantization) -> Self:
        return cls(
            serves=quantization.serves,
            reason=quantization.reason,
            photos=quantization.photos,
            accuracy=quantization.int8.accuracy,
            accuracy_f32=quantization.f32.accuracy,
            log_loss=quantization.int8.log_loss,
            log_loss_f32=quantization.f32.log_loss,
            largest_difference=quantization.largest_difference,
        )


class Unknown(BaseModel, frozen=True):
    """When the version calls a photo unknown."""

    measure: Literal["similarity", "length"] = Field(
        description="What `familiarity` goes by: `similarity` of the features to those of training photos; `length` of"
        " the features in versions of an earlier catdog."
    )
    compared_with: int | None = Field(description="Training photos that a photo is compared with; null for `length`.")
    nearest: int | None = Field(
        description="The similarity to this one of them counts, the most similar being 1; null for `length`."
    )
    keep: float = Field(description="Share of the photos of the classes that are to stay known, by the settings.")
    threshold: float = Field(description="Of `familiarity`; what is below it is unknown. It suits `keep`.")
    kept: float = Field(description="Share of the photos that set it that are not unknown at a share of 0.95, 0-1.")
    photos: int = Field(description="How many of these there were: photos that the network didn't learn from.")
    neither: Neither | None = Field(
        description="How it did on photos of none of the classes, at a share of 0.95; null where none were given."
    )

    @classmethod
    def of(cls, manifest: Manifest, keep: float) -> Self | None:
        """What a manifest says of it; None where it can't tell."""
        known = manifest.unknown
        if known is None:
            return None
        neighbours = known.neighbours
        return cls(
            measure="length" if neighbours is None else "similarity",
            compared_with=None if neighbours is None else neighbours.photos,
            nearest=None if neighbours is None else neighbours.nearest,
            keep=keep,
            threshold=ood.threshold(ood.thresholds(known, manifest.histograms.get("familiarity")), keep),
            kept=known.kept,
            photos=known.photos,
            neither=known.neither,
        )


class Description(BaseModel, frozen=True):
    """A version, as its manifest describes it."""

    version: int
    created: datetime
    classes: tuple[str, ...]
    architecture: Network
    temperature: float = Field(description="What the logits are divided by before they become probabilities.")
    noise: float = Field(description="Share of every answer, 0-1, that all classes get alike: no answer is surer.")
    metrics: dict[str, Metrics] = Field(description="How good it is on each split, with the number of photos.")
    int8: Int8 | None = Field(description="How its int8 graph did; null where it has none.")
    unknown: Unknown | None = Field(description="Null where it can't tell: it was published by an earlier catdog.")
    training: Training

    @classmethod
    def of(cls, manifest: Manifest, unknown_keep: float, **more: Any) -> Self:
        """What a manifest says that concerns a user; its command and libraries stay inside.

        `unknown_keep` is the share of the photos of its classes that are to stay known.
        """
        network, lineage = manifest.architecture, manifest.lineage
        return cls(
            version=manifest.version,
            created=manifest.created,
            classes=manifest.classes,
            architecture=Network(width=network.width, head=network.head, parameters=network.parameters),
            temperature=manifest.temperature,
            noise=manifest.noise,
            metrics=dict(manifest.metrics),
            int8=Int8.of(manifest.quantization) if manifest.quantization else None,
            unknown=Unknown.of(manifest, unknown_keep),
            training=Training(
                recipe=lineage.recipe,
                strategy=lineage.strategy,
                parent=lineage.parent,
                job=lineage.job,
                photos=lineage.dataset.photos,
                seconds=lineage.seconds,
                hardware=lineage.hardware,
                notes=lineage.notes,
            ),
            **more,
        )


class Model(Description, frozen=True):
    """The version in service."""

    precision: Precision = Field(description="What the network computes in, on this machine.")


class Pair(BaseModel, frozen=True):
    """How good two versions are on one split; null for the one that wasn't measured on it."""

    version: Metrics | None
    champion: Metrics | None


class Comparison(BaseModel, frozen=True):
    """A version beside the champion. Only splits of the same photos compare: `data` says which they were."""

    champion: int
    metrics: dict[str, Pair]
    classes_added: tuple[str, ...]
    classes_removed: tuple[str, ...]

    @classmethod
    def of(cls, version: Manifest, champion: Manifest) -> Self:
        splits = dict.fromkeys([*version.metrics, *champion.metrics])
        pairs = {
            split: Pair(version=version.metrics.get(split), champion=champion.metrics.get(split)) for split in splits
        }
        return cls(
            champion=champion.version,
            metrics=pairs,
            classes_added=tuple(name for name in version.classes if name not in champion.classes),
            classes_removed=tuple(name for name in champion.classes if name not in version.classes),
        )


class ModelVersion(Description, frozen=True):
    """One version of the store."""

    champion: bool = Field(description="Whether it is the one in service.")
    decision: Decision | None = Field(
        description="Whether it was to take the champion's place when it was made, and why."
    )
    comparison: Comparison | None = Field(description="Beside the champion, unless it is that one.")


class ListedVersion(BaseModel, frozen=True):
    """One version of the store in short."""

    version: int
    champion: bool
    created: datetime | None = None
    classes: tuple[str, ...] | None = None
    strategy: str | None = None
    metrics: dict[str, Metrics] | None = None
    decision: Decision | None = None
    problem: str | None = Field(default=None, description="Why it can't be used; all that is known of it then.")

    @classmethod
    def of(cls, manifest: Manifest, champion: bool) -> Self:
        return cls(
            version=manifest.version,
            champion=champion,
            created=manifest.created,
            classes=manifest.classes,
            strategy=manifest.lineage.strategy,
            metrics=dict(manifest.metrics),
            decision=manifest.decision,
        )


class ModelVersions(BaseModel, frozen=True):
    """Every version of the store, newest first."""

    versions: list[ListedVersion]


class ReportFile(BaseModel, frozen=True):
    """A file of a version's report."""

    name: str
    bytes: int
    needs_admin_key: bool = Field(description="Whether it shows photos or names of files, or may.")


class Report(BaseModel, frozen=True):
    """What a version keeps of its training, to look at."""

    files: list[ReportFile]
