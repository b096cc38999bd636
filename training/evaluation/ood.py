"""Fits a version's out-of-distribution threshold on validation photos and measures it."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, nct, norm
from sklearn.metrics import roc_auc_score

from catdog.datasets import folders
from catdog.errors import DatasetError
from catdog.versions.measurements import Neighbours, Neither, Threshold, Unknown
from catdog.versions.ood import KEEP, Bank, Detector, of_length_1
from training.data.dataset import Photo, Report, report_left_out

SURE: Final = 0.95  # confidence that a threshold keeps its share of the photos of the classes
ENOUGH: Final = 200  # validation photos that set it alone; with fewer, training photos are used too if possible
SHARES: Final = (0.5, 0.6, 0.7, 0.8, 0.85, *(n / 100 for n in range(90, 100)), 0.995, 0.999)  # KEEP is among them
MOST: Final = 500  # largest number of training photos that others are compared with: decision 14
NEAREST: Final = 5  # k: the similarity to the k-th nearest training photo counts
LEAST_DISTANCE: Final = 1e-6  # of two photos; its logarithm is taken, so it must not be 0
FOLDS: Final = 10  # of the training photos, if they set the thresholds: each is compared with those of other folds
MOST_OF_CLASS: Final = 0.5  # largest k as a share of the mean number of photos of a class, so small classes have k

Features = NDArray[np.float32]
Labels = NDArray[np.int64]
Values = NDArray[np.float64]


def stands(earlier: Detector, features: Features) -> bool:
    """Whether to keep the detector of the version that a head's convolutions are from; `features` are of n new photos.

    It is kept unless the new photos, (n, features), are at least as many as the ones that set it, or contradict it.
    """
    return len(features) < earlier.known.photos and not _contradict(features, earlier)


def _contradict(features: Features, earlier: Detector) -> bool:
    """Whether significantly more than 1 - KEEP of the photos are unknown (binomial test)."""
    below = int((earlier.familiarity(features) < earlier.threshold()).sum())
    return bool(below) and float(binomtest(below, len(features), 1 - KEEP, "greater").pvalue) < 1 - SURE


class Fitted(NamedTuple):
    """A detector, and the familiarity of the photos that set its thresholds, (photos,)."""

    detector: Detector
    familiarity: Values


def fit(training: Features, labels: Labels, new: Features, also: NDArray[np.bool_]) -> Fitted | None:
    """Fit a detector that compares photos with training photos, which have features (m, features) and labels (m,).

    Its thresholds are set by photos that the backbone was not trained on: `new`, features (n, features), and the
    training photos with `also`, bool (m,), which are compared with those of other folds. None without photos, or if
    the median similarity is 0.
    """
    if not len(training):
        return None
    bank, nearest = bank_of(training, labels), _nearest(labels)
    found = bank.similarities(new, nearest)
    if also.any():
        crossed = _crossed(training, labels, nearest)[also]
        found = np.concatenate([found, crossed[~np.isnan(crossed)]])
    usual = float(np.median(found)) if len(found) else 0.0
    if not usual:
        return None
    data = bank.encoded()
    neighbours = Neighbours(
        sha256=sha256(data).hexdigest(),
        bytes=len(data),
        photos=len(training),
        nearest=nearest,
        usual_similarity=usual,
    )
    return Fitted(Detector.of(_described(found, neighbours), bank), found / usual)


def bank_of(training: Features, labels: Labels) -> Bank:
    """The bank of training photos with features (m, features), labels (m,), rounded as it is stored."""
    blank = Bank(_rounded(whitening(of_length_1(training), labels)), training)
    return replace(blank, features=_rounded(blank.whitened(training)))


def whitening(features: Features, labels: Labels) -> Features:
    """The symmetric matrix that gives features (m, features) equal within-class variance in all directions.

    The covariance is shrunk towards a multiple of the identity, more with fewer photos; without any variance it is the
    identity. Directions with little variance within the classes get more weight, because other photos differ there.
    """
    size, photos = features.shape[1], len(features)
    kinds, places = np.unique(labels, return_inverse=True)
    rows = features.astype(np.float64)
    apart = rows - np.stack([rows[labels == kind].mean(axis=0) for kind in kinds])[places]
    covariance = apart.T @ apart
    if not covariance.any():
        return np.eye(size, dtype=np.float32)
    shrinkage = size / (size + photos)
    covariance = (1 - shrinkage) * covariance * (size / np.trace(covariance)) + shrinkage * np.eye(size)
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors / np.sqrt(values) @ vectors.T, np.float32)


def _crossed(training: Features, labels: Labels, nearest: int) -> Values:
    """The similarity of each training photo to those of other folds, (m,), which also provide its whitening.

    NaN if there are too few of them.
    """
    photos = len(training)
    found, folds = np.full(photos, np.nan), min(FOLDS, photos)
    fold = np.random.default_rng(0).permutation(photos) % folds
    for number in range(folds):
        others, mine = fold != number, fold == number
        if others.sum() >= nearest:
            found[mine] = bank_of(training[others], labels[others]).similarities(training[mine], nearest)
    return found


def _nearest(labels: Labels) -> int:
    """The k of the k-th nearest neighbour: NEAREST, but at most MOST_OF_CLASS of the mean class size."""
    return max(1, min(NEAREST, int(MOST_OF_CLASS * len(labels) / len(np.unique(labels)))))


def _rounded(rows: Features) -> Features:
    return rows.astype(np.float16).astype(np.float32)


def _described(found: Values, neighbours: Neighbours) -> Unknown:
    """The thresholds from the similarities (n,) of the photos that set them."""
    usual = neighbours.usual_similarity
    thresholds: list[Threshold] = [(share, tolerance_limit(found, share) / usual) for share in SHARES]
    threshold = dict(thresholds)[KEEP]
    return Unknown(
        neighbours=neighbours,
        threshold=threshold,
        photos=len(found),
        kept=float((found / usual >= threshold).mean()),
        thresholds=tuple(thresholds),
    )


def tolerance_limit(found: Values, share: float) -> float:
    """A one-sided tolerance limit: with confidence SURE this share of all photos is above it.

    `found` are similarities, 0-1, of n photos, (n,). The limit is one of them if n is large enough (Wilks,
    "Determination of Sample Sizes for Setting Tolerance Limits", 1941), at least 59 for a share of 95%. With fewer
    photos it is that of a normal distribution of the logarithms of the distances, 1 - similarity (Hahn & Meeker,
    "Statistical Intervals", 1991, 4.6), and the lower the fewer photos there are. A normal distribution of the
    similarities themselves gives too high a limit, because some photos are far from all others.
    """
    photos = len(found)
    below = int(
        binom.ppf(1 - SURE, photos, 1 - share)
    )  # with confidence SURE at least this number of n are in the lowest share
    if below:
        return float(np.sort(found)[below - 1])
    if photos < 2:
        return 0.0
    factor = nct.ppf(SURE, photos - 1, norm.ppf(share) * np.sqrt(photos)) / np.sqrt(photos)
    logarithms = np.log(np.maximum(1 - found, LEAST_DISTANCE))
    limit = 1 - np.exp(logarithms.mean() + factor * logarithms.std(ddof=1))
    return float(max(0.0, min(limit, found.min())))


def compare(detector: Detector, known: Features, neither: Features, data: str) -> Neither:
    """Measure the detector on features (n, features) of known photos, described by `data`, and of `neither`."""
    ours, others = detector.familiarity(known), detector.familiarity(neither)
    is_known = np.repeat([True, False], [len(ours), len(others)])
    return Neither(
        photos=len(others),
        told=float((others < detector.threshold()).mean()),
        data=data,
        kept=float((ours >= detector.threshold()).mean()),
        auroc=float(roc_auc_score(is_known, np.concatenate([ours, others]))),
    )


def with_measurement(detector: Detector, neither: Neither) -> Detector:
    """A copy of the detector with this measurement on photos of none of the classes."""
    return replace(detector, known=detector.known.model_copy(update={"neither": neither}))


def photos_of_neither(folder: Path, report: Report | None = None) -> Sequence[Photo]:
    """Every picture below a folder, as photos of no class; DatasetError if there is none.

    `report` is called with each file that was left out.
    """
    found = folders.listed(folder) if folder.is_dir() else folders.Listing()
    report_left_out(folder, found.skipped, report)
    files = sorted(folder / place for place in found.pictures)
    if not files:
        raise DatasetError(f"{folder} contains no photo; pass a folder of photos of none of the classes")
    return [Photo(path, -1, sha256(path.read_bytes()).hexdigest(), path.name) for path in files]


def described(unknown: Unknown) -> str:
    """The threshold and its measurements, one per line."""
    known = f"{unknown.kept:.1%} are known, whose familiarity is at least {unknown.threshold:.3f}"
    kept = f"of {unknown.photos:,} photos that it didn't learn from {known}"
    return kept if unknown.neither is None else f"{kept}\n{measurement(unknown.neither)}"


def measurement(neither: Neither) -> str:
    """The measurement as a sentence."""
    return (
        f"of {neither.photos:,} photos of none of the classes {neither.told:.1%} are called unknown, and of"
        f" {neither.data} {1 - neither.kept:.1%}; AUROC {neither.auroc:.3f}"
    )
