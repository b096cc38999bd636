"""What the service answers: its public contract."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from catdog.architecture import Head
from catdog.engines import Precision
from catdog.manifest import Manifest, Metrics


class Answer(BaseModel):
    """What every answer of the service is: fixed once made, its fields described in the OpenAPI document."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Prediction(Answer):
    """What is in one photo."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "label": "cat",
                "probability": 0.983,
                "probabilities": {"cat": 0.983, "dog": 0.017},
                "model_version": 1,
            }
        }
    )

    label: str
    """The most probable class."""

    probability: float = Field(ge=0, le=1)
    """Calibrated probability of that class."""

    probabilities: dict[str, float]
    """Calibrated probability of every class, in the order of the model's classes; they sum to 1."""

    model_version: int
    """The version that answered."""


class Problem(Answer):
    """What went wrong, as RFC 9457 describes problem details."""

    type: str
    """Which kind of problem: a URI that stays the same, to be compared and not opened."""

    title: str
    """The kind of problem in a few words."""

    status: int
    """The HTTP status."""

    detail: str
    """What is wrong with this request, and what to do."""

    instance: str
    """This request: the log names it, and so does the header X-Request-ID."""


class BatchItem(Answer):
    """One photo's answer, or its own problem: exactly one of the two is there."""

    prediction: Prediction | None = None
    problem: Problem | None = None


class BatchPrediction(Answer):
    """One item a photo, in the order of the request."""

    results: list[BatchItem]


class Live(Answer):
    """The process answers."""

    live: Literal[True] = True


class Ready(Answer):
    """A champion is loaded and has answered once."""

    ready: Literal[True] = True
    model_version: int


class Network(Answer):
    """The network, as the paper counts it."""

    name: Literal["VGG16"] = "VGG16"

    width: float
    """Multiplier of every layer's channels; 1.0 is the paper's network."""

    head: Head
    """`pooled`: global average pooling and one dense layer; `classic`: the paper's."""

    parameters: int


class Training(Answer):
    """How the version came about."""

    recipe: str | None
    """The named recipe, where there is one."""

    strategy: str
    """`head`, `finetune` or `full`."""

    parent: int | None
    """The version whose weights it started from."""

    photos: dict[str, dict[str, int]]
    """How many photos it was made with, by split and class."""

    seconds: float
    hardware: str
    notes: str


class Model(Answer):
    """The version in service, as its manifest describes it."""

    version: int
    created: datetime
    classes: tuple[str, ...]
    architecture: Network

    precision: Precision
    """What the network computes in, on this machine."""

    temperature: float
    """What the logits are divided by before they become probabilities."""

    metrics: dict[str, Metrics]
    """How good it is on each split, with the number of photos."""

    training: Training

    @classmethod
    def of(cls, manifest: Manifest, precision: Precision) -> Self:
        """What a manifest says that concerns a user; its command and libraries stay inside."""
        network, lineage = manifest.architecture, manifest.lineage
        return cls(
            version=manifest.version,
            created=manifest.created,
            classes=manifest.classes,
            architecture=Network(width=network.width, head=network.head, parameters=network.parameters),
            precision=precision,
            temperature=manifest.temperature,
            metrics=dict(manifest.metrics),
            training=Training(
                recipe=lineage.recipe,
                strategy=lineage.strategy,
                parent=lineage.parent,
                photos=lineage.dataset.photos,
                seconds=lineage.seconds,
                hardware=lineage.hardware,
                notes=lineage.notes,
            ),
        )
