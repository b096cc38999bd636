"""What a training made, measured in the precision that will serve."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catdog.errors import RecipeError
from catdog.manifest import Histogram, Measure, Metrics, Unknown
from catdog.network import Int8Graph, Network
from catdog.unknown import familiarity
from training import calibrate, evaluate, features, histograms, near_duplicates, quantization, trained_on, unknown
from training.dataset import Dataset, Photo, Report, labels
from training.features import Seen
from training.gate import Contender
from training.quantization import Comparison
from training.strategies import STRATEGIES, Job, Trained, fit_head
from training.trained_on import TrainedOn

Outputs = Mapping[str, Seen]  # by split: the photos that can be read, and what is said of them
Features = NDArray[np.float32]


class Measured(NamedTuple):
    """One split through a network: n photos, their labels (n,), probabilities (n, classes)."""

    photos: tuple[Photo, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    metrics: Metrics


@dataclass(frozen=True)
class Candidate:
    """A network to be published, and the photos of its data set that could be read.

    `int8` is how its int8 graph did, `unquantized` why there is none. `histograms` are of the validation photos.
    """

    contender: Contender
    dataset: Dataset
    measured: Mapping[str, Measured]
    histograms: dict[Measure, Histogram]
    history: Sequence[Mapping[str, float]] = ()
    int8: Comparison | None = None
    unquantized: str | None = None

    @property
    def unknown(self) -> Unknown | None:
        return self.contender.unknown

    def compared(self, int8: Int8Graph, cache: Path, report: Report) -> Comparison:
        """Its network in float32 and by this graph, on the validation photos."""
        network, photos = replace(self.contender.network, int8=int8), self.measured["validation"].photos
        return quantization.compare(network, self.contender.temperature, photos, cache, report)

    def beside(self, neither: Sequence[Photo], cache: Path, report: Report) -> "Candidate":
        """The same, with how well it tells these photos, of none of its classes, from those that it is tested on.

        DatasetError where not one of them can be read.
        """
        if self.unknown is None:
            return self
        split = "test" if "test" in self.measured else "validation"
        known, others = (
            features.outputs(photos, self.contender.network, cache, report)[1].features
            for photos in (self.measured[split].photos, neither)
        )
        compared = unknown.compare(self.unknown, known, others, f"the {split} photos")
        compared_too = self.unknown.model_copy(update={"neither": compared})
        return replace(self, contender=replace(self.contender, unknown=compared_too))


def make(job: Job) -> Candidate:
    """Train, calibrate and measure: in int8 if that loses nothing, else as if there were no int8 graph."""
    trained = _trained(STRATEGIES[job.config.strategy](job))
    job.observer.phase("measuring")
    candidate = _measured(job, trained, trained.int8)
    if trained.int8 is None:
        return candidate
    fitted = candidate.compared(trained.int8, job.cache, job.observer.skipped)
    if fitted.serves:
        return replace(candidate, int8=fitted)
    if job.config.strategy == "head":  # on features of the precision that serves instead
        without = replace(job, dataset=candidate.dataset, backbone=replace(job.backbone, int8=None))
        trained = _trained(fit_head(without))
    candidate = _measured(job, trained, None)
    return replace(candidate, int8=candidate.compared(fitted.graph, job.cache, job.observer.skipped).kept_out(fitted))


def outputs(network: Network, dataset: Dataset, cache: Path, report: Report) -> Outputs:
    """What the network says of the photos of every split but train."""
    splits = {split: photos for split in ("validation", "test") if (photos := dataset.splits.get(split))}
    return {split: features.some(photos, network, cache, report) for split, photos in splits.items()}


def measured(
    contender: Contender, dataset: Dataset, said: Outputs, training: Callable[[], Seen] | None = None
) -> Candidate:
    """The candidate, by what its network said of the photos of the data set.

    When a photo is unknown is set by photos that its convolutions did not learn from: those to validate with and, with
    few of these, those to train on, of a head that is fitted alone: `training` says what the network makes of them.
    What the contender knows of its convolutions stands unless they contradict it.
    """
    found = {}
    for split, (photos, output, _) in said.items():
        truth, probabilities = labels(photos), contender.probabilities(output.logits)
        metrics = evaluate.measure(truth, probabilities, dataset.classes, f"the {split} photos")
        found[split] = Measured(photos, truth, probabilities, metrics)
    readable = dataset.with_only({split: seen.photos for split, seen in said.items()})
    usual, new = said["validation"].output.features, _features_of_new(contender.trained_on, said["validation"])
    if len(new) < unknown.ENOUGH and training is not None:
        new = np.concatenate([new, _features_of_new(contender.trained_on, training())])
    known = unknown.settled(new, contender.unknown) or unknown.fit(usual)
    told = _histograms(found["validation"].probabilities, usual, known)
    return Candidate(replace(contender, unknown=known), readable, found, told)


def _features_of_new(record: TrainedOn, seen: Seen) -> Features:
    return seen.output.features[_new_to(record, seen.photos, near_duplicates.hashes(seen.thumbnails))]


def _new_to(record: TrainedOn, photos: Sequence[Photo], pictures: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of n photos, with these hashes, (n,), the convolutions did not learn from: (n,)."""
    return ~record.by_backbone().has(trained_on.contents(photos), pictures)


def _histograms(
    probabilities: NDArray[np.float64], seen: NDArray[np.float32], known: Unknown | None
) -> dict[Measure, Histogram]:
    found: dict[Measure, Histogram] = {"probability": histograms.of(probabilities.max(axis=1))}
    if known is not None:
        found["familiarity"] = histograms.of(familiarity(seen, known.usual_length))
    return found


def _trained(trained: Trained) -> Trained:
    if not all(np.isfinite(array).all() for array in trained.arrays.values()):
        raise RecipeError("the training diverged: its weights are no numbers any more; train with another --seed")
    return trained


def _measured(job: Job, trained: Trained, int8: Int8Graph | None) -> Candidate:
    network, dataset = Network(job.architecture, trained.arrays, int8), trained.dataset
    is_head, photos = job.config.strategy == "head", dataset.splits["train"]
    record = job.backbone.trained_on.and_on(photos, trained.pictures, of_backbone=not is_head)
    said = outputs(network, dataset, job.cache, job.observer.skipped)
    unseen = said["validation"].output.logits, labels(said["validation"].photos)
    if trained.unseen is not None:
        new = _new_to(record, photos, trained.pictures)
        if new.any():
            unseen = trained.unseen[0][new], trained.unseen[1][new]

    def training() -> Seen:
        return features.look(photos, network, job.cache, job.observer.skipped)

    known = job.backbone.unknown if is_head else None
    contender = Contender(network, calibrate.temperature(*unseen), known, record)
    candidate = measured(contender, dataset, said, training if is_head else None)
    return replace(candidate, history=trained.history, unquantized=trained.unquantized)
