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
from catdog.versions.manifest import Neighbours, Neither, Threshold, Unknown
from catdog.versions.ood import KEEP, Bank, Detector, of_length_1
from training.data.dataset import Photo, Report, report_left_out

SURE: Final = 0.95  # how surely a share of the photos of the classes is known, whichever few of them set the threshold
ENOUGH: Final = 200  # validation photos that set it alone; with fewer other photos help, where there are some
SHARES: Final = (0.5, 0.6, 0.7, 0.8, 0.85, *(n / 100 for n in range(90, 100)), 0.995, 0.999)  # KEEP is among them
MOST: Final = 500  # training photos that others are compared with: decision 14
NEAREST: Final = 5  # of these, the similarity to which counts
LEAST_DISTANCE: Final = 1e-6  # of two photos: a logarithm has to be taken of it
FOLDS: Final = 10  # in which training photos are compared with others, where they set the thresholds
MOST_OF_CLASS: Final = 0.5  # what this may be of the photos of a class, so that those of a small class have such a one

Features = NDArray[np.float32]
Labels = NDArray[np.int64]
Values = NDArray[np.float64]


def stands(earlier: Detector, features: Features) -> bool:
    """Whether the detector of the version that a head's convolutions are from is better, by new photos (n, features).

    It is until as many photos are there as set it, or these contradict it: few photos know less well.
    """
    return len(features) < earlier.known.photos and not _contradict(features, earlier)


def _contradict(features: Features, earlier: Detector) -> bool:
    """Whether more of the photos are unknown than chance explains where KEEP of all such photos are known."""
    below = int((earlier.familiarity(features) < earlier.threshold()).sum())
    return bool(below) and float(binomtest(below, len(features), 1 - KEEP, "greater").pvalue) < 1 - SURE


class Fitted(NamedTuple):
    """A detector, and the familiarity of the photos that set it, (photos,)."""

    detector: Detector
    familiarity: Values


def fit(training: Features, labels: Labels, new: Features, also: NDArray[np.bool_]) -> Fitted | None:
    """A detector that compares photos with training photos, by their features (m, features) and labels (m,).

    Its thresholds are set by photos that the backbone did not learn from: `new`, features (n, features), and those of
    the training photos that are `also` such, bool (m,), each compared with others than itself. None where a network
    makes nothing of most of the photos, or where there is no photo.
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
    """The bank of training photos with features (m, features), labels (m,), rounded as it is kept."""
    blank = Bank(_rounded(whitening(of_length_1(training), labels)), training)
    return replace(blank, features=_rounded(blank.whitened(training)))


def whitening(features: Features, labels: Labels) -> Features:
    """The symmetric matrix after which features (m, features) vary alike in all directions within their classes.

    Their covariance is shrunk towards a multiple of the identity, the more the fewer they are: to that one alone where
    nothing varies. Directions in which the photos of a class are all alike count the more: there others differ.
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
    """The similarity of each training photo to the others, (m,): to those of other folds, which whiten it as well.

    NaN where there are too few others.
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
    """Which of the nearest counts: no more than a class has on average, by far."""
    return max(1, min(NEAREST, int(MOST_OF_CLASS * len(labels) / len(np.unique(labels)))))


def _rounded(rows: Features) -> Features:
    return rows.astype(np.float16).astype(np.float32)


def _described(found: Values, neighbours: Neighbours) -> Unknown:
    """What the similarities of the photos that set it come to, (n,)."""
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
    """What this share of all such photos is above, as SURE as that, by the similarities, 0-1, of n of them, (n,).

    The highest of these that it can be (Wilks, "Determination of Sample Sizes for Setting Tolerance Limits", 1941),
    which takes 59 for a share of 95%. Of fewer the lowest isn't low enough: the limit is that of a normal distribution,
    which is the lower the fewer they are (Hahn & Meeker, "Statistical Intervals", 1991, 4.6), of the logarithms of the
    distances 1 - similarity: of the similarities themselves it is too high, for some photos are far from all.
    """
    photos = len(found)
    below = int(binom.ppf(1 - SURE, photos, 1 - share))  # SURE that so many or more of any n are among the lowest
    if below:
        return float(np.sort(found)[below - 1])
    if photos < 2:
        return 0.0
    factor = nct.ppf(SURE, photos - 1, norm.ppf(share) * np.sqrt(photos)) / np.sqrt(photos)
    logarithms = np.log(np.maximum(1 - found, LEAST_DISTANCE))
    limit = 1 - np.exp(logarithms.mean() + factor * logarithms.std(ddof=1))
    return float(max(0.0, min(limit, found.min())))


def compare(detector: Detector, known: Features, neither: Features, data: str) -> Neither:
    """How well it tells photos of none of the classes from known ones, which are `data`: by features (n, features)."""
    ours, others = detector.familiarity(known), detector.familiarity(neither)
    is_known = np.repeat([True, False], [len(ours), len(others)])
    return Neither(
        photos=len(others),
        told=float((others < detector.threshold()).mean()),
        data=data,
        kept=float((ours >= detector.threshold()).mean()),
        auroc=float(roc_auc_score(is_known, np.concatenate([ours, others]))),
    )


def beside(detector: Detector, neither: Neither) -> Detector:
    """The same, with how well it tells photos of none of the classes."""
    return replace(detector, known=detector.known.model_copy(update={"neither": neither}))


def photos_of_neither(folder: Path, report: Report | None = None) -> Sequence[Photo]:
    """Every picture below a folder, as photos of no class; DatasetError where there is none.

    `report` is told of files that were left out.
    """
    found = folders.listed(folder) if folder.is_dir() else folders.Listing()
    report_left_out(folder, found.skipped, report)
    files = sorted(folder / place for place in found.pictures)
    if not files:
        raise DatasetError(f"{folder} holds no photo; pass a folder of photos of none of the classes")
    return [Photo(path, -1, sha256(path.read_bytes()).hexdigest(), path.name) for path in files]


def described(unknown: Unknown) -> str:
    """The threshold, and how well it does, in a line each."""
    known = f"{unknown.kept:.1%} are known, whose familiarity is at least {unknown.threshold:.3f}"
    kept = f"of {unknown.photos:,} photos that it didn't learn from {known}"
    return kept if unknown.neither is None else f"{kept}\n{told(unknown.neither)}"


def told(neither: Neither) -> str:
    """How well it does, in a sentence."""
    return (
        f"of {neither.photos:,} photos of none of the classes {neither.told:.1%} are called unknown, and of"
        f" {neither.data} {1 - neither.kept:.1%}; AUROC {neither.auroc:.3f}"
    )
