"""A model version in memory, with the engine that runs it."""

from dataclasses import dataclass

from app.serving.drift import Drift
from app.serving.prediction import Prediction
from catdog.engines.engine import Engine, Output
from catdog.versions.manifest import Manifest
from catdog.versions.ood import KEEP, Detector


@dataclass(frozen=True)
class LoadedModel:
    """One version, loaded. It never changes, so an answer made with it is of one version throughout."""

    manifest: Manifest
    engine: Engine
    graph: str  # fingerprint of what is compiled: all but a pooled head
    drift: Drift  # how its answers of late compare with those to the photos that validated it
    detector: Detector | None  # of photos that are like none of its classes, where it can tell
    untried: Engine | None = None  # this engine with its streams, where none of them has answered yet

    def __str__(self) -> str:
        return f"version {self.manifest.version} ({', '.join(self.manifest.classes)}; {self.engine.precision})"

    def is_on_the_graph_of(self, other: "LoadedModel") -> bool:
        """Whether both are heads on one backbone; those that are loaded beside each other then share its graph."""
        return self.graph == other.graph and self.manifest.head == other.manifest.head == "pooled"

    def answer(self, output: Output, prediction_id: str = "", keep: float = KEEP) -> Prediction:
        """The answer that the output for one photo means, where this share of the photos of its classes stays known.

        Without an id nobody can refer to it.
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
