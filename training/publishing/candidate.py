"""Makes and measures candidates: trained models, evaluated in the serving precision.

Without validation photos the training photos are used instead; for a head, with cross-validated answers.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catdog.errors import RecipeError
from catdog.network.architecture import Int8Graph, Network
from catdog.versions.measurements import Histogram, Measure, Metrics, Unknown
from catdog.versions.ood import Detector
from training.data import near_duplicates, trained_on
from training.data.dataset import Dataset, Photo, labels
from training.data.features import FeatureExtractor, Seen
from training.data.trained_on import TrainedOn
from training.evaluation import ood, temperature_scaling
from training.evaluation.champion_comparison import Contender
from training.evaluation.metrics import histogram, measure
from training.fitting import quantization
from training.fitting.quantization import Comparison
from training.fitting.strategies import STRATEGIES, Job, Trained, fit_head

Outputs = Mapping[str, Seen]  # by split: the photos that can be read, and the network's output
Features = NDArray[np.float32]


class Measured(NamedTuple):
    """A network's answers on one split: n photos, their labels (n,), probabilities (n, classes)."""

    photos: tuple[Photo, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    metrics: Metrics


class Training(NamedTuple):
    """The network's output for some training photos of every class, which the detector compares photos with.

    If the convolutions were not trained on them, `are_new`, they may set thresholds.
    """

    look: Callable[[], Seen]
    are_new: bool


@dataclass(frozen=True)
class Candidate:
    """A network to be published, and the photos of its data set that could be read.

    `int8` is the evaluation of its int8 graph, `unquantized` the reason if there is none. `histograms` are of the
    validation photos.
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

    def compared(self, int8: Int8Graph, extractor: FeatureExtractor) -> Comparison:
        """Compare float32 with this graph on the validation photos, or on the training photos if there are none."""
        network, photos = replace(self.contender.network, int8=int8), self.measured[_basis(self.measured)].photos
        return quantization.compare(network, self.contender.calibration, photos, extractor)

    def measured_on(self, neither: Sequence[Photo], extractor: FeatureExtractor) -> "Candidate":
        """A copy with a measurement of its detector: these photos of none of its classes against its test photos.

        DatasetError if none of them can be read.
        """
        if (detector := self.contender.detector) is None:
            return self
        split = "test" if "test" in self.measured else _basis(self.measured)
        known, others = (
            extractor.outputs(photos, self.contender.network).output.features
            for photos in (self.measured[split].photos, neither)
        )
        compared = ood.compare(detector, known, others, f"the {split} photos")
        return replace(self, contender=replace(self.contender, detector=ood.with_measurement(detector, compared)))


def make(job: Job) -> Candidate:
    """Train, calibrate and measure: in int8 if that stays within its limits, else as without an int8 graph."""
    trained = _trained(STRATEGIES[job.config.strategy](job))
    job.observer.phase("measuring")
    candidate = _measured(job, trained)
    if (int8 := trained.network.int8) is None:
        return candidate
    fitted = candidate.compared(int8, job.extractor)
    if fitted.serves:
        return replace(candidate, int8=fitted)
    if job.config.strategy == "head":  # on features of the precision that serves
        without = replace(job, dataset=candidate.dataset, backbone=replace(job.backbone, int8=None))
        trained = _trained(fit_head(without))
    candidate = _measured(job, replace(trained, network=replace(trained.network, int8=None)))
    return replace(candidate, int8=candidate.compared(fitted.graph, job.extractor).kept_out(fitted))


def outputs(network: Network, dataset: Dataset, extractor: FeatureExtractor) -> Outputs:
    """The network's output for every split except train, and for train too if there are no validation photos."""
    asked = ("validation", "test") if dataset.splits["validation"] else ("train", "test")
    splits = {split: photos for split in asked if (photos := dataset.splits.get(split))}
    return {split: extractor.outputs(photos, network) for split, photos in splits.items()}


def measured(
    contender: Contender,
    dataset: Dataset,
    said: Outputs,
    training: Training,
    crossed: NDArray[np.floating] | None = None,
) -> Candidate:
    """The candidate with its measurements, from its network's output for the photos of the data set.

    The out-of-distribution thresholds are set by photos that its convolutions were not trained on: validation photos
    and, if these are few, training photos. The contender's own detector is kept unless they contradict it. `crossed`
    are cross-validated logits of the training photos, (n, classes).
    """
    found = {}
    for split, (photos, output, _) in said.items():
        logits = output.logits if split != "train" or crossed is None else crossed
        truth, probabilities = labels(photos), contender.probabilities(logits)
        metrics = measure(truth, probabilities, dataset.classes, _which(split, crossed is not None))
        found[split] = Measured(photos, truth, probabilities, metrics)
    readable = dataset.with_only({split: seen.photos for split, seen in said.items()})
    detector, usual = _detector(contender, said.get("validation"), training)
    histograms = _histograms(found[_basis(said)].probabilities, usual)
    return Candidate(replace(contender, detector=detector), readable, found, histograms)


def _detector(
    contender: Contender, validation: Seen | None, training: Training
) -> tuple[Detector | None, NDArray[np.float64]]:
    """The contender's own detector if it is kept; else one fitted on photos new to the convolutions, or on any.

    Also returns the familiarity of the validation photos, (n,), or of the training photos if there are none.
    """
    usual = np.empty((0, contender.network.architecture.features), np.float32)
    if validation is not None:
        usual = validation.output.features
    new = usual if validation is None else usual[_are_new(contender.trained_on, validation)]
    few, earlier = len(new) < ood.ENOUGH, contender.detector
    if earlier is not None and not few and ood.stands(earlier, new):
        return earlier, earlier.familiarity(usual)
    seen = training.look()
    features = seen.output.features
    also = _are_new(contender.trained_on, seen) if few and training.are_new else np.zeros(len(features), bool)
    if earlier is not None and ood.stands(earlier, np.concatenate([new, features[also]])):
        return earlier, earlier.familiarity(features if validation is None else usual)
    if not len(new) and not also.any():
        new, also = usual, np.full(len(features), validation is None)
    if (fitted := ood.fit(features, labels(seen.photos), new, also)) is None:
        return None, np.empty(0)
    return fitted.detector, fitted.familiarity if validation is None else fitted.detector.familiarity(usual)


def _basis(splits: Collection[str]) -> str:
    """The split used for thresholds, the int8 comparison and drift."""
    return "validation" if "validation" in splits else "train"


def _which(split: str, crossed: bool) -> str:
    """A description of the photos, for reports."""
    if split != "train":
        return f"the {split} photos"
    return "the training photos, by cross-validation" if crossed else "the photos that it was trained on"


def _are_new(record: TrainedOn, seen: Seen) -> NDArray[np.bool_]:
    return _new_to(record, seen.photos, near_duplicates.hashes(seen.thumbnails))


def _new_to(record: TrainedOn, photos: Sequence[Photo], pictures: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of n photos, with these hashes, (n,), the convolutions were not trained on: (n,)."""
    return ~record.by_backbone().has(trained_on.contents(photos), pictures)


def _histograms(probabilities: NDArray[np.float64], familiarity: NDArray[np.float64]) -> dict[Measure, Histogram]:
    found: dict[Measure, Histogram] = {"probability": histogram(probabilities.max(axis=1))}
    if len(familiarity):
        found["familiarity"] = histogram(familiarity)
    return found


def _trained(trained: Trained) -> Trained:
    if not all(np.isfinite(array).all() for array in trained.network.arrays.values()):
        raise RecipeError("the training diverged: its weights are NaN or infinite; train with another --seed")
    return trained


def _measured(job: Job, trained: Trained) -> Candidate:
    network, dataset = trained.network, trained.dataset
    is_head, photos = job.config.strategy == "head", dataset.splits["train"]
    record = job.backbone.trained_on.and_on(photos, trained.pictures, of_backbone=not is_head)
    said = outputs(network, dataset, job.extractor)
    unseen = _unseen(said, network.architecture.classes)
    if trained.unseen is not None:
        new = _new_to(record, photos, trained.pictures)
        if new.any():
            unseen = trained.unseen[0][new], trained.unseen[1][new]

    def look() -> Seen:
        some = quantization.draw(photos, job.config.seed, ood.MOST)
        return job.extractor.look(some, network)

    detector = job.backbone.detector if is_head and job.backbone.classes == dataset.classes else None
    contender = Contender(network, temperature_scaling.fit(*unseen), detector, record)
    crossed = None if trained.unseen is None else trained.unseen[0]
    candidate = measured(contender, dataset, said, Training(look, is_head), crossed)
    return replace(candidate, history=trained.history, unquantized=trained.unquantized)


def _unseen(said: Outputs, classes: int) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Logits (n, classes) and labels (n,) of the validation photos, empty if there are none."""
    if "validation" in said:
        return said["validation"].output.logits, labels(said["validation"].photos)
    return np.empty((0, classes)), np.empty(0, np.int64)
