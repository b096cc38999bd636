"""Compares candidate and champion on the same test photos, and decides on promotion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from catdog.engines.engine import Output
from catdog.errors import NoChampion, StoreError, WeightsError
from catdog.network import head, weights
from catdog.network.architecture import Network
from catdog.versions.calibration import Calibration
from catdog.versions.manifest import Decision
from catdog.versions.measurements import Unknown
from catdog.versions.ood import Detector
from catdog.versions.store import Store, Version
from training.data import near_duplicates, trained_on
from training.data.dataset import Dataset, Photo, labels
from training.data.features import FeatureExtractor
from training.data.trained_on import TrainedOn
from training.evaluation import promotion_rule, reference_features
from training.evaluation.promotion_rule import Answers
from training.evaluation.reference_features import Reference

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Contender:
    """The candidate or the champion: a network, its calibration and detector, and the photos that it was trained on."""

    network: Network
    calibration: Calibration
    detector: Detector | None = None
    trained_on: TrainedOn = field(default_factory=TrainedOn.nothing)

    @classmethod
    def of(cls, version: Version) -> Self:
        """Read a version; BrokenVersion or WeightsError if its files can't be used."""
        manifest = version.manifest
        return cls(version.network(), manifest.calibration, version.detector(), trained_on.read(version.path))

    @property
    def unknown(self) -> Unknown | None:
        """Its out-of-distribution thresholds, None without a detector."""
        return None if self.detector is None else self.detector.known

    def probabilities(self, logits: NDArray[np.float32]) -> Probabilities:
        return self.calibration.probabilities(logits)

    def answers(self, output: Output) -> Answers:
        strange = None
        if self.detector is not None:
            strange = self.detector.familiarity(output.features) < self.detector.threshold()
        return Answers(self.probabilities(output.logits), strange)

    def is_on(self, backbone: str) -> bool:
        """Whether it is a pooled head on the backbone with this fingerprint."""
        architecture, arrays = self.network.architecture, self.network.arrays
        return architecture.head == "pooled" and weights.backbone_fingerprint(architecture, arrays) == backbone


Contenders = tuple[Contender, Contender]  # the candidate and the champion, or any two versions


class Same(NamedTuple):
    """Photos that neither of two was trained on, the output of each, and how many others were left out."""

    photos: tuple[Photo, ...]
    outputs: tuple[Output, Output]
    left_out: int


Compared = tuple[NDArray[np.int64], Answers, Answers, int]  # labels, answers of each, number of photos left out


def judge(candidate: Contender, dataset: Dataset, store: Store, extractor: FeatureExtractor) -> Decision:
    """Decide on a candidate trained on `dataset`, from its test photos and those of the shipped version.

    Photos that one of the two was trained on don't count. A candidate that can't be compared isn't promoted; without a
    champion every candidate is.
    """
    number = None
    try:
        number = store.champion()
        version = store.open(number)
        if (theirs := version.manifest.classes) != dataset.classes:
            return promotion_rule.keep(number, _other_classes(dataset.classes, number, theirs))
        contenders = candidate, Contender.of(version)
        compared = [*_on_own_photos(contenders, dataset, extractor), *_on_reference(contenders, dataset, store)]
    except NoChampion:
        return promotion_rule.unopposed()
    except (StoreError, WeightsError) as error:
        return promotion_rule.keep(number, f"it can't be compared with the champion: {error}")
    labels, ours, champions, left_out = zip(*compared, strict=True) if compared else ((), (), (), ())
    truth = np.concatenate([np.empty(0, np.int64), *labels])
    decision = promotion_rule.decide(truth, _joined(ours), _joined(champions), dataset.classes, number, sum(left_out))
    return decision if contenders[1].trained_on.is_complete else promotion_rule.doubted(decision)


def _other_classes(ours: Sequence[str], number: int, theirs: Sequence[str]) -> str:
    return (
        f"its classes are {', '.join(ours)}, but those of version {number} are {', '.join(theirs)}: the two can't be"
        " compared; decide yourself whether to promote it"
    )


def _joined(answers: Sequence[Answers]) -> Answers:
    """The answers to several sets of photos, concatenated."""
    if not answers:
        return Answers(np.empty((0, 1)))
    unknown = [said.unknown for said in answers if said.unknown is not None]
    return Answers(
        np.concatenate([said.probabilities for said in answers]), np.concatenate(unknown) if unknown else None
    )


def on_same_photos(contenders: Contenders, photos: Sequence[Photo], extractor: FeatureExtractor) -> Same:
    """What both say of the photos that can be read and that neither was trained on."""
    ours = extractor.look(photos, contenders[0].network)
    theirs = extractor.look(ours.photos, contenders[1].network)
    if theirs.photos != ours.photos:  # some were removed in the meantime
        ours = extractor.look(theirs.photos, contenders[0].network)
    kept = _new_to_both(contenders, trained_on.contents(ours.photos), near_duplicates.hashes(ours.thumbnails))
    outputs = [Output(*(rows[kept] for rows in seen.output)) for seen in (ours, theirs)]
    new = tuple(photo for photo, is_new in zip(ours.photos, kept, strict=True) if is_new)
    return Same(new, (outputs[0], outputs[1]), int((~kept).sum()))


def _on_own_photos(contenders: Contenders, dataset: Dataset, extractor: FeatureExtractor) -> Iterator[Compared]:
    if photos := dataset.splits.get("test"):
        same = on_same_photos(contenders, photos, extractor)
        candidate, champion = (each.answers(output) for each, output in zip(contenders, same.outputs, strict=True))
        yield labels(same.photos), candidate, champion, same.left_out


def _on_reference(contenders: Contenders, dataset: Dataset, store: Store) -> Iterator[Compared]:
    """Compare on the features of test photos that a version stores, if both have the backbone that computed them."""
    kept = _reference(store)
    if kept and kept.classes == dataset.classes and all(each.is_on(kept.backbone) for each in contenders):
        mine = [photo for photos in dataset.splits.values() for photo in photos]
        contents = np.array([int(photo[:16], 16) for photo in kept.photos], np.uint64)
        new = _new_to_both(contenders, contents, kept.pictures) & ~np.isin(contents, trained_on.contents(mine))
        if new.any():
            some = kept.only(new)
            candidate, champion = (
                each.answers(Output(head.logits(some.features, each.network.arrays), some.features))
                for each in contenders
            )
            yield some.labels, candidate, champion, 0


def _new_to_both(
    contenders: Contenders, contents: NDArray[np.uint64], pictures: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Which of n photos neither was trained on, (n,), by their `contents` and `pictures` of `trained_on`, (n,)."""
    known = [each.trained_on.has(contents, pictures) for each in contenders]
    return ~np.logical_or(*known)


def _reference(store: Store) -> Reference | None:
    """Of the newest version that has some."""
    files = (store.open(number).file(reference_features.FILE) for number in reversed(store.versions()))
    return next((reference_features.read(file) for file in files if file.exists()), None)
