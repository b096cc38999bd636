"""How many test photos a comparison of two versions needs."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from catdog.splits import SHARE
from catdog.versions.manifest import Rule

NAME: Final = "test photos"
EACH_CLASS: Final = 30  # test photos of every class that are always enough
MARGIN: Final = 0.02  # of accuracy: fewer photos are enough if the 95% interval rules out a larger loss
FEWEST: Final = 30  # photos in total; with fewer the interval, an approximation, isn't used
# The least number per class: a class that the champion gets right half the time, and the candidate never, then passes
# once in 32 times.
FEWEST_EACH: Final = 5
DEVIATIONS: Final = 1.96  # half the width of a 95% interval, in standard deviations
MOST: Final = 1_000_000  # upper end of the search for a sufficient number of test photos

Labels = NDArray[np.integer]


def rule(labels: Labels, classes: Sequence[str], won: int, lost: int, left_out: int = 0) -> tuple[Rule, int]:
    """Whether photos with the class numbers `labels`, (n,), are enough, and about how many are missing (0 if enough).

    Enough are EACH_CLASS of every class; or at least FEWEST in total and FEWEST_EACH of every class, if they show that
    the candidate loses at most MARGIN of accuracy. `won` is the number of photos on which only the candidate is right,
    `lost` on which only the champion is. `left_out` photos are not counted: one of the two was trained on them.
    """
    counts = np.bincount(labels, minlength=len(classes))
    fewest = int(counts.min())
    enough = fewest >= EACH_CLASS or (fewest >= FEWEST_EACH and _rules_a_loss_out(len(labels), won, lost))
    missing = 0 if enough else _missing(counts, won, lost)
    said = f"{len(labels):,} test photos, at least {fewest:,} of each class"
    if not enough:
        said = _too_few(counts, classes, missing)
    if left_out:
        said += f"; {left_out:,} more are not counted, because this version or the one in service was trained on them"
    found = Rule(name=NAME, passed=bool(enough), candidate=fewest, champion=fewest, limit=EACH_CLASS, sentence=said)
    return found, missing


def _rules_a_loss_out(photos: int, won: int, lost: int) -> bool:
    return photos >= FEWEST and lower_limit(photos, won, lost) >= -MARGIN


def lower_limit(photos: int, won: int, lost: int) -> float:
    """The lower end of the 95% interval of a paired difference of accuracy, -1 to 1; -1 without photos.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design"
    (1998). Unlike Wald's interval it has a width if both answer alike, which is usual with few photos.
    """
    if lost == photos:
        return -1.0
    found = (won - lost) / photos
    return float(brentq(lambda difference: _score(difference, photos, won, lost) - DEVIATIONS, -1 + 1e-12, found))


def interval(photos: int, won: int, lost: int) -> tuple[float, float]:
    """The 95% interval of a paired difference of accuracy, -1 to 1; the arguments are those of `lower_limit`."""
    return lower_limit(photos, won, lost), -lower_limit(photos, lost, won)


def _score(difference: float, photos: int, won: int, lost: int) -> float:
    """How many standard deviations the observed difference lies above this one."""
    linear = (2 * photos - won + lost) * difference - won - lost
    root = np.sqrt(max(linear**2 + 8 * photos * lost * difference * (1 - difference), 0.0))
    only_champion = (root - linear) / (4 * photos)  # likeliest share on which only the champion is right
    variance = photos * (2 * only_champion + difference * (1 - difference))
    return float((won - lost - photos * difference) / np.sqrt(variance)) if variance > 0 else 0.0


def _missing(counts: NDArray[np.integer], won: int, lost: int) -> int:
    """How many more are needed: EACH_CLASS of every class or, if fewer, as extrapolated from the answers so far."""
    photos = int(counts.sum())
    by_class, least = (int(np.maximum(each - counts, 0).sum()) for each in (EACH_CLASS, FEWEST_EACH))

    def would_do(total: int) -> bool:
        grown = total / photos if photos else 0.0
        return _rules_a_loss_out(total, round(won * grown), round(lost * grown))

    few, many = photos + least, min(photos + by_class, MOST)
    if few >= many or not would_do(many):
        return by_class
    if least and would_do(few):
        return least
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if would_do(middle) else (middle, many)
    return many - photos


def _too_few(counts: NDArray[np.integer], classes: Sequence[str], missing: int) -> str:
    rare = int(counts.argmin())
    is_rare = counts[rare] < FEWEST_EACH and counts.sum() >= FEWEST
    which = f"{counts.sum():,}, but {counts[rare]:,} of {classes[rare]}" if is_rare else f"{counts.sum():,}"
    return (
        f"too few test photos ({which}) to tell whether it is better or worse; about {missing:,} more are needed"
        f" ({EACH_CLASS} of each class are enough): add about {round(missing / SHARE):,} pictures, of which one in"
        f" {round(1 / SHARE)} becomes a test photo, or sort them into train/<class>, validation/<class> and"
        " test/<class>"
    )
