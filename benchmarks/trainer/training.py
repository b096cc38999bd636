"""Measures the time to train a head to the same accuracy: the trainer against a tutorial's way.

All three are whole commands, from start to end.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.photos import SHARED_DATA
from benchmarks.harness.processes import python, run
from catdog.versions.store import Store
from catdog.versions.version import Version

PHOTOS = SHARED_DATA / "cats_and_dogs"
NEVER = 2.0  # an accuracy that no training reaches
TOLERANCE = 0.001  # by which the tutorial's accuracy may be below ours: one photo of 1,000


@dataclass(frozen=True)
class Training:
    """One command and its validation accuracy."""

    seconds: float
    accuracy: float

    @property
    def goal(self) -> float:
        """The accuracy at which another training may stop."""
        return self.accuracy - TOLERANCE


@dataclass(frozen=True)
class Comparison:
    """Our training without and with cached features; the tutorial's with its validation accuracy after each epoch."""

    train_photos: int
    validation_photos: int
    cold: Training
    cached: Training
    tutorial: Training
    epochs: tuple[float, ...]
    epochs_limit: int

    @property
    def seconds_a_photo(self) -> float:
        """Seconds per photo of ours without cached features and one epoch of the tutorial's together."""
        epoch = self.tutorial.seconds / len(self.epochs)
        return (self.cold.seconds + epoch) / (self.train_photos + self.validation_photos)

    @property
    def reached(self) -> bool:
        """Whether the tutorial's training reached our goal; if not, its seconds are a lower bound."""
        return self.epochs[-1] >= self.cold.goal


def compare(version: Version, data: Path, epochs: int, folder: Path) -> Comparison:
    """Train on `data`/{train,validation}/<class>/* once each way; publishes into the version's store."""
    cold = ours(version, data, folder)
    cached = ours(version, data, folder)
    print(f"training: catdog {cold.seconds:.1f} s, with features known {cached.seconds:.1f} s", flush=True)
    seconds, accuracies = tutorial(version, data, cold.goal, epochs, folder)
    print(f"training: tutorial's way {seconds:.1f} s, {len(accuracies)} epochs", flush=True)
    return Comparison(
        train_photos=_count(data / "train"),
        validation_photos=_count(data / "validation"),
        cold=cold,
        cached=cached,
        tutorial=Training(seconds, accuracies[-1]),
        epochs=accuracies,
        epochs_limit=epochs,
    )


def ours(version: Version, data: Path, folder: Path) -> Training:
    """Train a head on the version's backbone and publish it into its store; features are cached in `folder`."""
    folder.mkdir(exist_ok=True)
    models = version.path.parent
    options = ("--strategy", "head", "--backbone", str(version.number), "--promote", "never")
    command = python("training", "--models", models, "--data-dir", folder / "data", "train", "--data", data, *options)
    seconds = run(command, {}, folder)
    store = Store(models)
    return Training(seconds, store.open(store.versions()[-1]).manifest.metrics["validation"].accuracy)


def tutorial(
    version: Version, data: Path, accuracy: float, epochs: int, folder: Path
) -> tuple[float, tuple[float, ...]]:
    """Seconds, and the validation accuracy after each epoch, until one reaches `accuracy`."""
    result = folder / "accuracies.json"
    arguments = (version.path, data, str(accuracy), str(epochs), result)
    seconds = run(python("benchmarks.trainer.tutorial_training", *arguments), {}, folder)
    return seconds, tuple(json.loads(result.read_text("utf-8")))


def _count(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))
