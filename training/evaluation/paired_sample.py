"""Compares int8 with float32 on as few photos as needed, because float32 is slow.

Both answer the same photos, so that what is hard in a photo is hard for both. Only a photo that int8 gets wrong can be
lost, and one that it is right and sure about costs hardly any log-loss. So float32 looks at those that int8 is wrong
about, each of which stands for itself, and at some spread over all others, which stand for those: a stratified estimate
of a difference (Cochran, "Sampling Techniques", 1977, chapter 5). Decision 15 has the numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORST = 16  # photos at least that stand for themselves; all that int8 is wrong about do
SPREAD = (32, 64, 256)  # photos that stand for all others; where the last don't settle it, all photos are looked at
ERRORS = 3.0  # standard errors that lie between the estimate and the limit, for it to be settled

Places = NDArray[np.intp]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Places of some of `photos` photos: each of the `worst` stands for itself, the `spread` ones for all others."""

    photos: int
    worst: Places
    spread: Places

    @property
    def places(self) -> Places:
        return np.concatenate([self.worst, self.spread])

    @property
    def others(self) -> int:
        """How many photos aren't among the worst."""
        return self.photos - len(self.worst)

    def mean(self, values: NDArray[np.floating]) -> float:
        """Over all photos, by `values` of those at `places`."""
        worst, spread = np.split(values, [len(self.worst)])
        return float(worst.sum() + (self.others * spread.mean() if len(spread) else 0.0)) / self.photos

    def error(self, values: NDArray[np.floating]) -> float:
        """The standard error of that mean."""
        spread = values[len(self.worst) :]
        if not len(spread):
            return 0.0
        unseen = 1 - len(spread) / self.others
        return float(self.others * spread.std(ddof=1) * np.sqrt(unseen / len(spread))) / self.photos


@dataclass(frozen=True)
class Lost:
    """What int8 loses on all photos: accuracy (0-1) and log-loss (nats a photo), both below 0 where it gains.

    `error` is the standard error of the log-loss. The accuracy `is_at_most` so where float32 is right about all of the
    spread photos, as int8 is. `largest_difference` is that of two probabilities of a class.
    """

    accuracy: float
    log_loss: float
    error: float
    is_at_most: bool
    largest_difference: float

    def settles(self, accuracy: float, log_loss: float) -> bool:
        """Whether all photos would hardly give another verdict where so much may be lost.

        A sample holds all photos that can be lost and few that can be won: it tells that no accuracy is lost, not that
        some is.
        """
        is_far = abs(self.log_loss - log_loss) >= ERRORS * self.error
        return self.is_at_most and self.accuracy <= accuracy and is_far


def samples(truth: NDArray[np.int64], int8: Probabilities) -> Iterator[Sample]:
    """Samples of n photos, of ascending size, the last of all; always the same ones.

    By their labels `truth` (n,), and by what `int8` says of them, (n, classes).
    """
    photos, is_right = len(truth), int8.argmax(axis=1) == truth
    order = np.lexsort((-_losses(truth, int8), is_right))  # the wrong ones first
    worst, rest = np.split(order, [max(WORST, photos - is_right.sum())])
    for size in SPREAD:
        if size < len(rest):
            yield Sample(photos, worst, rest[np.linspace(0, len(rest) - 1, size).round().astype(np.intp)])
    yield Sample(photos, order, order[:0])


def lost(sample: Sample, truth: NDArray[np.int64], f32: Probabilities, int8: Probabilities) -> Lost:
    """By what `f32` says of the sample, (n of sample, classes), and `int8` of all photos, (n, classes)."""
    is_wrong, places = int8.argmax(axis=1) != truth, sample.places
    is_lost = is_wrong[places].astype(np.float64) - (f32.argmax(axis=1) != truth[places])  # -1 where it is won
    losses = _losses(truth[places], int8[places]) - _losses(truth[places], f32)
    return Lost(
        accuracy=sample.mean(is_lost),
        log_loss=sample.mean(losses),
        error=sample.error(losses),
        is_at_most=not is_lost[len(sample.worst) :].any(),
        largest_difference=float(np.abs(f32 - int8[places]).max()),
    )


def _losses(truth: NDArray[np.int64], probabilities: Probabilities) -> NDArray[np.float64]:
    """Nats of each photo, (n,)."""
    smallest = np.finfo(np.float64).tiny
    found: NDArray[np.float64] = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], smallest))
    return found
