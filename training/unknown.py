"""When a version says that a photo is unknown: set by photos that it didn't learn from, measured on others."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, nct, norm
from sklearn.metrics import roc_auc_score

from catdog import folders
from catdog.errors import DatasetError
from catdog.manifest import Neither, Unknown
from catdog.unknown import familiarity, lengths
from training.dataset import Photo, Report, report_left_out

KEPT: Final = 0.95  # share of the photos of the classes that are known, at least
SURE: Final = 0.95  # how surely, whichever few of them set the threshold
ENOUGH: Final = 200  # validation photos that set it alone; with fewer other photos help, where there are some

Features = NDArray[np.float32]
Familiarity = NDArray[np.float64]


def settled(features: Features, earlier: Unknown | None) -> Unknown | None:
    """When a network calls a photo unknown, by features (n, features) of photos new to its convolutions.

    What was set `earlier`, for the same convolutions, stands until as many photos are there or these contradict it:
    the length of features is no matter of the head, and few photos know it less well. None where nothing is known.
    """
    if earlier is not None and len(features) < earlier.photos and not _contradict(features, earlier):
        return earlier
    return fit(features) if len(features) else None


def _contradict(features: Features, earlier: Unknown) -> bool:
    """Whether more of the photos are unknown than chance explains where KEPT of all such photos are known."""
    below = int((familiarity(features, earlier.usual_length) < earlier.threshold).sum())
    return bool(below) and float(binomtest(below, len(features), 1 - KEPT, "greater").pvalue) < 1 - SURE


def fit(features: Features) -> Unknown | None:
    """The measure and its threshold, by the features (n, features) of photos that the backbone did not learn from.

    None where most of these have none: such a network can't tell.
    """
    usual_length = float(np.median(lengths(features)))
    if not usual_length:
        return None
    found = familiarity(features, usual_length)
    threshold = _threshold(found)
    kept = float((found >= threshold).mean())
    return Unknown(usual_length=usual_length, threshold=threshold, photos=len(found), kept=kept)


def _threshold(found: Familiarity) -> float:
    """What KEPT of all such photos are above, as SURE as that: a tolerance limit, by n of them, (n,).

    The highest of these that it can be (Wilks, "Determination of Sample Sizes for Setting Tolerance Limits", 1941),
    which takes 59. Of fewer the lowest isn't low enough: the limit is that of a normal distribution, which is the lower
    the fewer they are (Hahn & Meeker, "Statistical Intervals", 1991, 4.6).
    """
    photos = len(found)
    below = int(binom.ppf(1 - SURE, photos, 1 - KEPT))  # SURE that so many or more of any n are among the lowest 5%
    if below:
        return float(np.sort(found)[below - 1])
    if photos < 2:
        return 0.0
    factor = nct.ppf(SURE, photos - 1, norm.ppf(KEPT) * np.sqrt(photos)) / np.sqrt(photos)
    limit = found.mean() - factor * found.std(ddof=1)
    return float(max(0.0, min(limit, found.min())))


def compare(unknown: Unknown, known: Features, neither: Features, data: str) -> Neither:
    """How well it tells photos of none of the classes from known ones, which are `data`: by features (n, features)."""
    ours, others = (familiarity(features, unknown.usual_length) for features in (known, neither))
    is_known = np.repeat([True, False], [len(ours), len(others)])
    return Neither(
        photos=len(others),
        told=float((others < unknown.threshold).mean()),
        data=data,
        kept=float((ours >= unknown.threshold).mean()),
        auroc=float(roc_auc_score(is_known, np.concatenate([ours, others]))),
    )


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
