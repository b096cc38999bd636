"""When a version says that a photo is unknown: set by photos that it didn't learn from, measured on others."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, nct, norm
from sklearn.metrics import roc_auc_score

from catdog import folders
from catdog.errors import DatasetError
from catdog.manifest import Neighbours, Neither, Threshold, Unknown
from catdog.unknown import KEEP, Detector, encoded, of_length_1, similarities
from training.dataset import Photo, Report, report_left_out

SURE: Final = 0.95  # how surely a share of the photos of the classes is known, whichever few of them set the threshold
ENOUGH: Final = 200  # validation photos that set it alone; with fewer other photos help, where there are some
SHARES: Final = (0.5, 0.6, 0.7, 0.8, 0.85, *(n / 100 for n in range(90, 100)), 0.995, 0.999)  # KEEP is among them
MOST: Final = 1000  # training photos that others are compared with: decision 14
NEAREST: Final = 5  # of these, the similarity to which counts
MOST_OF_CLASS: Final = 0.5  # what this may be of the photos of a class, so that those of a small class have such a one

Features = NDArray[np.float32]
Familiarity = NDArray[np.float64]


def stands(earlier: Detector, features: Features) -> bool:
    """Whether the detector of the version that a head's convolutions are from is better, by new photos (n, features).

    It is until as many photos are there as set it, or these contradict it: few photos know less well.
    """
    return len(features) < earlier.known.photos and not _contradict(features, earlier)


def _contradict(features: Features, earlier: Detector) -> bool:
    """Whether more of the photos are unknown than chance explains where KEEP of all such photos are known."""
    below = int((earlier.familiarity(features) < earlier.threshold()).sum())
    return bool(below) and float(binomtest(below, len(features), 1 - KEEP, "greater").pvalue) < 1 - SURE


def fit(training: Features, classes: int, new: Features, also: NDArray[np.bool_]) -> Detector | None:
    """A detector that compares photos with training photos, by their features (m, features).

    Its thresholds are set by photos that the backbone did not learn from: `new`, features (n, features), and those of
    the training photos that are `also` such, bool (m,). None where a network makes nothing of most of the photos, or
    where there is no photo.
    """
    bank = _rounded(training)
    nearest = max(1, min(NEAREST, int(MOST_OF_CLASS * len(bank) / classes)))
    found = similarities(new, bank, min(nearest, len(bank))) if len(bank) else np.empty(0)
    if also.any() and len(bank) > nearest:
        found = np.concatenate([found, similarities(_rounded(training[also]), bank, nearest + 1)])  # each finds itself
    usual = float(np.median(found)) if len(found) else 0.0
    if not usual:
        return None
    data = encoded(bank)
    neighbours = Neighbours(
        sha256=sha256(data).hexdigest(), bytes=len(data), photos=len(bank), nearest=nearest, usual_similarity=usual
    )
    return Detector.of(_described(found / usual, neighbours), bank)


def familiarity_of_training(detector: Detector) -> Familiarity:
    """How familiar each of the photos is that a detector compares with, (photos,), to the others of them."""
    neighbours, bank = detector.known.neighbours, detector.bank
    if neighbours is None or bank is None or len(bank) <= neighbours.nearest:
        return np.empty(0)
    return similarities(bank, bank, neighbours.nearest + 1) / neighbours.usual_similarity


def _rounded(features: Features) -> Features:
    """Of length 1, as they are kept."""
    return of_length_1(features).astype(np.float16).astype(np.float32)


def _described(found: Familiarity, neighbours: Neighbours) -> Unknown:
    thresholds: list[Threshold] = [(share, tolerance_limit(found, share)) for share in SHARES]
    threshold = dict(thresholds)[KEEP]
    return Unknown(
        neighbours=neighbours,
        threshold=threshold,
        photos=len(found),
        kept=float((found >= threshold).mean()),
        thresholds=tuple(thresholds),
    )


def tolerance_limit(found: Familiarity, share: float) -> float:
    """What this share of all such photos is above, as SURE as that: a tolerance limit, by n of them, (n,).

    The highest of these that it can be (Wilks, "Determination of Sample Sizes for Setting Tolerance Limits", 1941),
    which takes 59 for a share of 95%. Of fewer the lowest isn't low enough: the limit is that of a normal distribution,
    which is the lower the fewer they are (Hahn & Meeker, "Statistical Intervals", 1991, 4.6).
    """
    photos = len(found)
    below = int(binom.ppf(1 - SURE, photos, 1 - share))  # SURE that so many or more of any n are among the lowest
    if below:
        return float(np.sort(found)[below - 1])
    if photos < 2:
        return 0.0
    factor = nct.ppf(SURE, photos - 1, norm.ppf(share) * np.sqrt(photos)) / np.sqrt(photos)
    limit = found.mean() - factor * found.std(ddof=1)
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
