"""How many test photos a comparison of two versions needs."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from catdog.splits import SHARE
from catdog.versions.manifest import Rule

NAME: Final = "test photos"
EACH_CLASS: Final = 30  # test photos that are enough, of every class
MARGIN: Final = 0.02  # of accuracy: fewer are enough where the interval of the difference ends above this loss
FEWEST: Final = 30  # photos in all that this interval, an approximation, is asked of
# Of each class then: one that the champion gets right half the time, and the candidate never, passes once in 32.
FEWEST_EACH: Final = 5
DEVIATIONS: Final = 1.96  # from the middle of a 95% interval to its ends
MOST: Final = 1_000_000  # test photos that are searched through for a number that would do

Labels = NDArray[np.integer]


def rule(labels: Labels, classes: Sequence[str], won: int, lost: int, left_out: int = 0) -> tuple[Rule, int]:
    """Whether photos of the classes `labels`, (n,), are enough, and about how many more would do: 0 where they are.

    Enough are EACH_CLASS of every class, or FEWEST, with FEWEST_EACH of every class, that show that the candidate loses
    no more than MARGIN of accuracy: it alone is right on `won`, the champion alone on `lost` of them. `left_out` is how
    many more there are that one of the two was trained on.
    """
    counts = np.bincount(labels, minlength=len(classes))
    fewest = int(counts.min())
    enough = fewest >= EACH_CLASS or (fewest >= FEWEST_EACH and _rules_a_loss_out(len(labels), won, lost))
    missing = 0 if enough else _missing(counts, won, lost)
    said = f"{len(labels):,} test photos, {fewest:,} or more of each class"
    if not enough:
        said = _too_few(counts, classes, missing)
    if left_out:
        said += f"; {left_out:,} more are not counted, because this version or the one in service was trained on them"
    found = Rule(name=NAME, passed=bool(enough), candidate=fewest, champion=fewest, limit=EACH_CLASS, sentence=said)
    return found, missing


def _rules_a_loss_out(photos: int, won: int, lost: int) -> bool:
    return photos >= FEWEST and lower_limit(photos, won, lost) >= -MARGIN


def lower_limit(photos: int, won: int, lost: int) -> float:
    """The lower end of the 95% interval of a paired difference of accuracy, -1 to 1; -1 without a photo.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design"
    (1998): unlike Wald's it is no point where the two answer alike, which is the rule with few photos.
    """
    if lost == photos:
        return -1.0
    found = (won - lost) / photos
    return float(brentq(lambda difference: _score(difference, photos, won, lost) - DEVIATIONS, -1 + 1e-12, found))


def _score(difference: float, photos: int, won: int, lost: int) -> float:
    """How many standard deviations the photos lie above this difference."""
    linear = (2 * photos - won + lost) * difference - won - lost
    root = np.sqrt(max(linear**2 + 8 * photos * lost * difference * (1 - difference), 0.0))
    only_champion = (root - linear) / (4 * photos)  # the likeliest share that the champion alone is right on
    variance = photos * (2 * only_champion + difference * (1 - difference))
    return float((won - lost - photos * difference) / np.sqrt(variance)) if variance > 0 else 0.0


def _missing(counts: NDArray[np.integer], won: int, lost: int) -> int:
    """How many more would do: EACH_CLASS of every class or, if that is less, with answers as they are so far."""
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
        f"too few test photos ({which}) to tell whether it is better or worse; about {missing:,} more would do"
        f" ({EACH_CLASS} of each class are enough): add some {round(missing / SHARE):,} pictures, of which one in"
        f" {round(1 / SHARE)} becomes a test photo, or sort them into train/<class>, validation/<class> and"
        " test/<class>"
    )
