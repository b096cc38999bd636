"""A model version in memory, with the engine that runs it."""

from dataclasses import dataclass

from app.serving.drift import Drift
from app.serving.prediction import Prediction
from catdog.engines.engine import Engine, Output
from catdog.versions.manifest import Manifest
from catdog.versions.ood import KEEP, Detector


@dataclass(frozen=True)
class LoadedModel:
    """One loaded version. It is immutable, so that each answer comes from one version throughout."""

    manifest: Manifest
    engine: Engine
    graph: str  # fingerprint of the compiled part: all but a pooled head
    drift: Drift  # of its recent answers from those to its validation photos
    detector: Detector | None  # of photos that are like none of its classes; None if it has none
    unconfirmed: Engine | None = None  # this engine with its streams, if they haven't answered yet

    def __str__(self) -> str:
        return f"version {self.manifest.version} ({', '.join(self.manifest.classes)}; {self.engine.precision})"

    def is_on_the_graph_of(self, other: "LoadedModel") -> bool:
        """Whether both are heads on the same backbone, so that they can share its compiled graph."""
        return self.graph == other.graph and self.manifest.head == other.manifest.head == "pooled"

    def answer(self, output: Output, prediction_id: str = "", keep: float = KEEP) -> Prediction:
        """Convert the output for one photo to an answer; `keep` is the share of photos of the classes that stay known.

        Without an id, the answer can't be referred to in feedback.
        """
        (row,) = self.manifest.calibration.probabilities(output.logits).tolist()
        probabilities = dict(zip(self.manifest.classes, row, strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        familiarity, is_unknown = None, False
        if self.detector is not None:
            familiarity, is_unknown = self.detector.judged(output.features, keep)
        return Prediction(
            label=label,
            probability=probabilities[label],
            probabilities=probabilities,
            unknown=is_unknown,
            familiarity=familiarity,
            model_version=self.manifest.version,
            prediction_id=prediction_id,
        )
