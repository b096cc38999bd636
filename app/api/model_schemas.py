"""Response schemas of model versions."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from app.api.automation.trial_schemas import Trial
from catdog.engines.engine import Precision
from catdog.network.architecture import Head
from catdog.versions import ood
from catdog.versions.manifest import Decision, Manifest, Quantization
from catdog.versions.measurements import Metrics, Neither, Speed


class Network(BaseModel, frozen=True):
    """Size of the network."""

    name: Literal["VGG16"] = "VGG16"
    width: float = Field(description="Multiplier of every layer's channels; 1.0 is the paper's network.")
    head: Head = Field(description="`pooled`: global average pooling and one dense layer; `classic`: the paper's.")
    parameters: int
    multiply_adds: int = Field(description="For one photo; 15.3 billion for the paper's network.")


class Training(BaseModel, frozen=True):
    """How the version was trained."""

    recipe: str | None = Field(description="Name of its recipe, if it has one.")
    strategy: str = Field(description="`head`, `finetune`, `full` or `compress`.")
    parent: int | None = Field(description="The version whose weights it started from.")
    job: str | None = Field(description="The job that trained it, if one did.")
    photos: dict[str, dict[str, int]] = Field(description="Number of photos by split and class.")
    seconds: float
    hardware: str
    notes: str


class Int8(BaseModel, frozen=True):
    """The version's network in int8, measured when it was published."""

    serves: bool = Field(
        description="Whether it loses so little accuracy that it is used, unless `CATDOG_PRECISION` says otherwise."
    )
    reason: str
    photos: int = Field(
        description="Validation photos that int8 was measured on; float32 may have been measured on fewer of them."
    )
    accuracy: float
    accuracy_f32: float
    log_loss: float
    log_loss_f32: float
    largest_difference: float = Field(
        description="Largest difference between two probabilities of a class, on photos that both were measured on."
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
        description="What `familiarity` measures: `similarity` of the features to those of training photos, or `length`"
        " of the features in versions of an earlier catdog."
    )
    compared_with: int | None = Field(description="Training photos that a photo is compared with; null for `length`.")
    nearest: int | None = Field(
        description="Rank of the training photo whose similarity counts; 1 is the most similar; null for `length`."
    )
    keep: float = Field(description="Share of the photos of the classes that are to stay known, from the settings.")
    threshold: float = Field(description="Photos whose `familiarity` is below it are unknown. It is set for `keep`.")
    kept: float = Field(
        description="Share of the photos that set the threshold that stay known at a share of 0.95, 0-1."
    )
    photos: int = Field(description="Number of photos that set the threshold; the network didn't learn from them.")
    neither: Neither | None = Field(
        description="Results on photos of none of the classes, at a share of 0.95; null if none were given."
    )

    @classmethod
    def of(cls, manifest: Manifest, keep: float) -> Self | None:
        """From a manifest; None if the version can't detect unknown photos."""
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
    """A version, as described in its manifest."""

    version: int
    created: datetime
    classes: tuple[str, ...]
    architecture: Network
    temperature: float = Field(description="The logits are divided by it before the softmax.")
    noise: float = Field(
        description="Share of each answer, 0-1, spread evenly over all classes: it limits the probability."
    )
    metrics: dict[str, Metrics] = Field(description="Metrics on each split, with the number of photos.")
    int8: Int8 | None = Field(description="Results of its int8 graph; null if it has none.")
    unknown: Unknown | None = Field(description="Null if it has no detector: an earlier catdog published it.")
    speed: Speed | None = Field(
        description="Photos a second where it was trained, without decoding; null if an earlier catdog published it."
    )
    training: Training

    @classmethod
    def of(cls, manifest: Manifest, unknown_keep: float, **more: Any) -> Self:
        """The parts of a manifest that concern a user, not its command and libraries.

        `unknown_keep` is the share of the photos of its classes that are to stay known.
        """
        network, lineage = manifest.architecture, manifest.lineage
        return cls(
            version=manifest.version,
            created=manifest.created,
            classes=manifest.classes,
            architecture=Network(
                width=network.width,
                head=network.head,
                parameters=network.parameters,
                multiply_adds=network.multiply_adds,
            ),
            temperature=manifest.temperature,
            noise=manifest.noise,
            metrics=dict(manifest.metrics),
            int8=Int8.of(manifest.quantization) if manifest.quantization else None,
            unknown=Unknown.of(manifest, unknown_keep),
            speed=manifest.speed,
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

    precision: Precision = Field(description="Numeric type that the network computes in on this machine.")


class Pair(BaseModel, frozen=True):
    """Metrics of two versions on one split; null for one that wasn't measured on it."""

    version: Metrics | None
    champion: Metrics | None


class Comparison(BaseModel, frozen=True):
    """A version compared with the champion. Only compare splits of the same photos, which `data` identifies."""

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

    champion: bool = Field(description="Whether it is in service.")
    decision: Decision | None = Field(
        description="Whether it was to replace the champion when it was published, and why."
    )
    trial: Trial | None = Field(description="Its trial next to the champion; null if it had none.")
    comparison: Comparison | None = Field(description="Comparison with the champion; null for the champion itself.")


class ListedVersion(BaseModel, frozen=True):
    """Summary of one version of the store."""

    version: int
    champion: bool
    created: datetime | None = None
    classes: tuple[str, ...] | None = None
    strategy: str | None = None
    metrics: dict[str, Metrics] | None = None
    decision: Decision | None = None
    trial: Trial | None = Field(default=None, description="Its trial next to the champion; null if it had none.")
    served: bool = Field(
        default=False, description="Whether it is in service, or was and is among the champions that are remembered."
    )
    photos: dict[str, dict[str, int]] | None = Field(
        default=None, description="Number of photos of its training by split and class."
    )
    multiply_adds: int | None = Field(default=None, description="Multiply-adds of its network for one photo.")
    bytes: int | None = Field(default=None, description="Size of its weights.")
    speed: Speed | None = Field(default=None, description="Photos a second where it was trained, without decoding.")
    measured_like_champion: bool | None = Field(
        default=None,
        description="Whether its data set is the champion's, so that the metrics of both are on the same photos; null"
        " if there is no champion that can be read.",
    )
    problem: str | None = Field(default=None, description="Why it can't be used; then most other fields are unset.")

    @classmethod
    def of(cls, manifest: Manifest, fingerprint: str | None, **more: Any) -> Self:
        """`fingerprint` is that of the champion's data set. It isn't shown, as it tells which photos are in the set."""
        return cls(
            version=manifest.version,
            created=manifest.created,
            classes=manifest.classes,
            strategy=manifest.lineage.strategy,
            metrics=dict(manifest.metrics),
            decision=manifest.decision,
            photos=manifest.lineage.dataset.photos,
            multiply_adds=manifest.architecture.multiply_adds,
            bytes=manifest.weights.bytes,
            speed=manifest.speed,
            measured_like_champion=None if fingerprint is None else manifest.lineage.dataset.fingerprint == fingerprint,
            **more,
        )


class ModelVersions(BaseModel, frozen=True):
    """Every version of the store, newest first."""

    versions: list[ListedVersion]


class ReportFile(BaseModel, frozen=True):
    """A file of a version's report."""

    name: str
    bytes: int
    needs_admin_key: bool = Field(description="Whether it shows, or may show, photos or names of files.")


class Report(BaseModel, frozen=True):
    """The report files of a version's training."""

    files: list[ReportFile]
