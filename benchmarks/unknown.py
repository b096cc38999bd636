"""Which number tells best that a photo is of none of the classes: the table of docs/decisions/0011.

`python -m benchmarks.unknown DIR` prints it, where DIR holds the photos that the shipped version was trained on
(training/recipes.py says how to unpack them), with ../shared/data/neither beside.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from benchmarks.photos import SHARED_DATA
from benchmarks.processes import ROOT
from catdog import calibration
from catdog.store import SHIPPED, Store
from training import dataset, features
from training.dataset import Photo
from training.unknown import KEPT, photos_of_neither

NEIGHBOURS = 10
SHRINKAGE = 0.1  # of the covariance towards its diagonal

Values = NDArray[np.float64]


class Seen(NamedTuple):
    """What the network says of n photos; labels are none of use where they show neither."""

    features: Values  # (n, features)
    logits: Values  # (n, classes)
    labels: NDArray[np.int64]  # (n,)


Number = Callable[
    [Seen, Seen, float], Values
]  # of photos, by those it is fitted on and the temperature: large is known


def probability(_: Seen, seen: Seen, temperature: float) -> Values:
    """Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples" (2017)."""
    return np.asarray(calibration.probabilities(seen.logits, temperature).max(axis=1))


def energy(_: Seen, seen: Seen, temperature: float) -> Values:
    """Liu, Wang, Owens & Li, "Energy-based Out-of-distribution Detection" (2020)."""
    return np.asarray(logsumexp(seen.logits / temperature, axis=1))


def length(_: Seen, seen: Seen, __: float) -> Values:
    """Dhamija, Günther & Boult, "Reducing Network Agnostophobia" (2018)."""
    return np.asarray(np.linalg.norm(seen.features, axis=1))


def total(_: Seen, seen: Seen, __: float) -> Values:
    """The sum of the features, none of which is below zero."""
    return np.asarray(seen.features.sum(axis=1))


def neighbours(fitted: Seen, seen: Seen, _: float) -> Values:
    """Sun, Ming, Zhu & Li, "Out-of-Distribution Detection with Deep Nearest Neighbors" (2022)."""
    return _nearness(_unit(fitted.features), _unit(seen.features), same=fitted is seen)


def neighbours_as_they_are(fitted: Seen, seen: Seen, _: float) -> Values:
    """The same, of features that keep their length."""
    return _nearness(fitted.features, seen.features, same=fitted is seen)


def mahalanobis(fitted: Seen, seen: Seen, _: float) -> Values:
    """Lee, Lee, Lee & Shin, "A Simple Unified Framework for Detecting Out-of-Distribution Samples" (2018)."""
    means = _means(fitted)
    covariance = np.cov((fitted.features - means[fitted.labels]).T)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance) + 1e-9)
    apart = seen.features[:, np.newaxis] - means
    return np.asarray(-np.einsum("ncf,fg,ncg->nc", apart, np.linalg.inv(covariance), apart).min(axis=1))


def projection(fitted: Seen, seen: Seen, _: float) -> Values:
    """The part of the features that points where those of a class do on average; of the class with the largest."""
    return np.asarray((seen.features @ _unit(_means(fitted)).T).max(axis=1))


def both(first: Number, second: Number) -> Number:
    """The sum of two, each in standard deviations among the photos it is fitted on."""

    def number(fitted: Seen, seen: Seen, temperature: float) -> Values:
        def scaled(one: Number) -> Values:
            usual = one(fitted, fitted, temperature)
            return np.asarray((one(fitted, seen, temperature) - usual.mean()) / usual.std())

        return scaled(first) + scaled(second)

    return number


NUMBERS: dict[str, Number] = {
    "largest probability": probability,
    "energy": energy,
    "length of the features": length,
    "sum of the features": total,
    "projection on the nearest class's mean": projection,
    f"distance to the neighbour no. {NEIGHBOURS}, of features of length 1": neighbours,
    f"distance to the neighbour no. {NEIGHBOURS}": neighbours_as_they_are,
    "Mahalanobis distance to the nearest class": mahalanobis,
    "length, and largest probability": both(length, probability),
    f"length, and neighbour no. {NEIGHBOURS} at length 1": both(length, neighbours),
    f"largest probability, and neighbour no. {NEIGHBOURS} at length 1": both(probability, neighbours),
}


def _unit(rows: Values) -> Values:
    unit: Values = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit


def _means(fitted: Seen) -> Values:
    return np.stack([fitted.features[fitted.labels == label].mean(axis=0) for label in np.unique(fitted.labels)])


def _nearness(fitted: Values, rows: Values, same: bool) -> Values:
    squares = (rows**2).sum(axis=1)[:, np.newaxis] + (fitted**2).sum(axis=1) - 2 * rows @ fitted.T
    nth = NEIGHBOURS if same else NEIGHBOURS - 1  # a photo is its own nearest
    return -np.sqrt(np.maximum(np.partition(squares, nth, axis=1)[:, nth], 0))


def main() -> None:
    """Fit each on the validation photos, and measure it on the test photos and on those of neither class."""
    if len(sys.argv) != 2 or not (SHARED_DATA / "neither").is_dir():
        sys.exit(f"python -m benchmarks.unknown DIR, with the photos in {SHARED_DATA / 'neither'}")
    version = Store(ROOT / "models").open(SHIPPED)
    lineage, temperature = version.manifest.lineage, version.manifest.temperature
    photos = dataset.read(Path(sys.argv[1]), lineage.seed, float(str(lineage.config["validation_share"])))

    def seen(some: Sequence[Photo]) -> Seen:
        with TemporaryDirectory() as cache:
            readable, output, _ = features.outputs(some, version.network(), Path(cache), lambda *_: None)
        return Seen(output.features.astype(float), output.logits.astype(float), dataset.labels(readable))

    validation, test = seen(photos.splits["validation"]), seen(photos.splits["test"])
    neither = seen(photos_of_neither(SHARED_DATA / "neither"))
    print(
        f"{len(validation.labels):,} validation photos, {len(test.labels):,} test, {len(neither.labels):,} of neither\n"
    )
    print("| number | AUROC | test photos kept | of neither, told |")
    print("|---|---:|---:|---:|")
    for name, number in NUMBERS.items():
        usual, known, strange = (number(validation, each, temperature) for each in (validation, test, neither))
        threshold = np.quantile(usual, 1 - KEPT, method="lower")
        truth = np.repeat([1, 0], [len(known), len(strange)])
        auroc = roc_auc_score(truth, np.concatenate([known, strange]))
        kept, told = (known >= threshold).mean(), (strange < threshold).mean()
        print(f"| {name} | {auroc:.3f} | {kept:.1%} | {told:.1%} |", flush=True)


if __name__ == "__main__":
    main()
