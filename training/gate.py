"""The gate before the champion's place: candidate and champion on the same test photos, and the rule applied."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from catdog import calibration, head, weights
from catdog.errors import NoChampion, StoreError, WeightsError
from catdog.manifest import Decision
from catdog.network import Network
from catdog.store import SHIPPED, Store, Version
from training import features, promotion, reference
from training.dataset import Dataset, Report, labels
from training.reference import Reference

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Contender:
    """A network and the temperature of its answers: the candidate, or the champion."""

    network: Network
    temperature: float

    @classmethod
    def of(cls, version: Version) -> Self:
        """BrokenVersion where its files can't be used."""
        return cls(version.network(), version.manifest.temperature)

    def probabilities(self, logits: NDArray[np.float32]) -> Probabilities:
        return calibration.probabilities(logits, self.temperature)

    def is_on(self, backbone: str) -> bool:
        """Whether it is a pooled head on the backbone with this fingerprint."""
        architecture, arrays = self.network.architecture, self.network.arrays
        return architecture.head == "pooled" and weights.backbone_fingerprint(architecture, arrays) == backbone


Contenders = tuple[Contender, Contender]  # the candidate and the champion
Answers = tuple[NDArray[np.int64], Probabilities, Probabilities]  # labels, and what each of the two said


def judge(candidate: Contender, dataset: Dataset, store: Store, cache: Path, report: Report) -> Decision:
    """The decision on a candidate that was trained on `dataset`, by its test photos and those of the shipped version.

    What can't be measured is kept out; where there is no champion, nothing can be lost.
    """
    number = None
    try:
        number = store.champion()
        version = store.open(number)
        if (theirs := version.manifest.classes) != dataset.classes:
            known = f"its classes are {', '.join(dataset.classes)}, and those of version {number} {', '.join(theirs)}"
            return promotion.keep(number, known)
        contenders = candidate, Contender.of(version)
        answers = [*_on_own_photos(contenders, dataset, cache, report), *_on_reference(contenders, dataset, store)]
    except NoChampion:
        return promotion.unopposed()
    except (StoreError, WeightsError) as error:
        return promotion.keep(number, f"it can't be measured against the champion: {error}")
    if not answers:
        return promotion.keep(number, "there are no test photos to judge it by")
    truth, ours, champions = (np.concatenate(part) for part in zip(*answers, strict=True))
    return promotion.decide(truth, ours, champions, dataset.classes, number)


def _on_own_photos(contenders: Contenders, dataset: Dataset, cache: Path, report: Report) -> Iterator[Answers]:
    if photos := dataset.splits.get("test"):
        ours, theirs = (
            each.probabilities(features.outputs(photos, each.network, cache, report)[1].logits) for each in contenders
        )
        yield labels(photos), ours, theirs


def _on_reference(contenders: Contenders, dataset: Dataset, store: Store) -> Iterator[Answers]:
    """By the features kept with the shipped version, where they are of the backbone of both."""
    kept = _reference(store)
    if kept and kept.classes == dataset.classes and all(each.is_on(kept.backbone) for each in contenders):
        unseen = kept.without({photo.sha256 for photos in dataset.splits.values() for photo in photos})
        if unseen.photos:
            ours, theirs = (
                each.probabilities(head.logits(unseen.features, each.network.arrays)) for each in contenders
            )
            yield unseen.labels, ours, theirs


def _reference(store: Store) -> Reference | None:
    file = store.root / str(SHIPPED) / reference.FILE
    return reference.read(file) if file.exists() else None
