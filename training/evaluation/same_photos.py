"""Compares two versions on the same photos, of the classes that both know."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from catdog.errors import DatasetError
from catdog.names import same_class
from catdog.versions.measurements import Metrics
from catdog.versions.same_photos import DifferentAnswer, DifferentPhoto, SamePhotos
from catdog.versions.version import Version
from training.data.dataset import Photo
from training.data.features import FeatureExtractor
from training.evaluation import evidence
from training.evaluation.champion_comparison import Contender, on_same_photos
from training.evaluation.metrics import measure

LISTED: Final = 200  # photos for which the two name different classes

Pair = tuple[Version, Version]
Begin = Callable[[int], None]  # called with the place of the version that looks at the photos now, 0 or 1


class Compared(NamedTuple):
    """The numbers, and at most LISTED photos for which the two versions name different classes."""

    found: SamePhotos
    photos: list[DifferentPhoto]


class _Said(NamedTuple):
    """What one version says of n photos: metrics, its classes' names and probabilities (n,), and which are right."""

    metrics: Metrics
    names: list[str]
    probabilities: NDArray[np.float64]
    right: NDArray[np.bool_]


def compare(
    versions: Pair,
    classes: Sequence[str],
    photos: Sequence[Photo],
    data: str,
    extractor: FeatureExtractor,
    begin: Begin,
) -> Compared:
    """Compare on those `photos`, labelled by their place in `classes`, that are of a class of both versions.

    `data` describes the photos. Photos that one of the two was trained on don't count. DatasetError if none is left.
    """
    shared = [name for name in classes if all(same_class(name, each.manifest.classes) for each in versions)]
    known = [replace(one, label=shared.index(classes[one.label])) for one in photos if classes[one.label] in shared]
    if not known:
        said = " and ".join(f"version {each.number} knows {', '.join(each.manifest.classes)}" for each in versions)
        raise DatasetError(f"there is no photo of a class that both versions know among {data}: {said}")
    contenders = Contender.of(versions[0]), Contender.of(versions[1])
    for place, each in enumerate(contenders):
        begin(place)
        extractor.look(known, each.network)
    same = on_same_photos(contenders, known, extractor)
    if not same.photos:
        raise DatasetError(
            f"none of {data} counts: {same.left_out:,} can't, because one of the versions was trained on them; add"
            " photos that are new to both"
        )
    labels = np.array([photo.label for photo in same.photos])
    one, other = (
        _said(each, version, labels, shared, output.logits, data)
        for each, version, output in zip(contenders, versions, same.outputs, strict=True)
    )
    different = _different(same.photos, shared, one, other)
    pairs = zip(contenders, versions, strict=True)
    found = SamePhotos(
        classes=shared,
        photos=len(labels),
        left_out=same.left_out,
        unreadable=len(known) - len(same.photos) - same.left_out,
        doubtful=[version.number for each, version in pairs if not each.trained_on.is_complete],
        metrics=(one.metrics, other.metrics),
        different=len(different),
        **_difference(one.right, other.right),
    )
    return Compared(found, different[:LISTED])


def _difference(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> dict[str, Any]:
    """The paired difference of two versions, right on `one` and `other` of n photos, (n,)."""
    won, lost = int((one & ~other).sum()), int((other & ~one).sum())
    low, high = evidence.interval(len(one), won, lost)
    return {
        "only_first": won,
        "only_second": lost,
        "difference": (won - lost) / len(one),
        "difference_low": low,
        "difference_high": high,
        "chance": float(binomtest(won, won + lost).pvalue) if won + lost else 1.0,
    }


def _said(
    contender: Contender,
    version: Version,
    labels: NDArray[np.integer],
    shared: Sequence[str],
    logits: NDArray[np.float32],
    data: str,
) -> _Said:
    """What a version says, with all of its classes to choose from; the metrics name only the shared ones."""
    own = version.manifest.classes
    places = [own.index(name) for shared_name in shared if (name := same_class(shared_name, own)) is not None]
    truth, probabilities = np.array(places)[labels], contender.probabilities(logits)
    metrics = measure(truth, probabilities, own, data)
    by_class = {
        kind: {name: getattr(metrics, kind)[own[place]] for name, place in zip(shared, places, strict=True)}
        for kind in ("precision", "recall")
    }
    said = probabilities.argmax(axis=1)
    return _Said(
        metrics.model_copy(update=by_class), [own[place] for place in said], probabilities.max(axis=1), said == truth
    )


def _different(photos: Sequence[Photo], shared: Sequence[str], one: _Said, other: _Said) -> list[DifferentPhoto]:
    """Photos for which the two name different classes: first those that only one gets right, the surest wrong first."""
    found = []
    for place, photo in enumerate(photos):
        if same_class(one.names[place], [other.names[place]]):
            continue
        answers = [
            DifferentAnswer(label=said.names[place], probability=said.probabilities[place]) for said in (one, other)
        ]
        wrong = max(said.probabilities[place] for said in (one, other) if not said.right[place])
        both_wrong = not (one.right[place] or other.right[place])
        shown = DifferentPhoto(
            sha256=photo.sha256, name=photo.name, label=shared[photo.label], answers=(answers[0], answers[1])
        )
        found.append((both_wrong, -wrong, place, shown))
    return [shown for *_, shown in sorted(found, key=lambda each: each[:3])]
