"""Compares int8 with float32 on as few photos as needed, because float32 is slow.

Both are run on the same photos, so the difference varies less than either. int8 can lose accuracy only on photos that
it gets wrong, and it loses hardly any log-loss on photos that it is right and sure about. So float32 is run on all
photos that int8 gets wrong and on a sample of the others: a stratified estimate of a difference (Cochran, "Sampling
Techniques", 1977, chapter 5). Decision 15 has the numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORST = 16  # smallest size of the first stratum, which has all photos that int8 gets wrong and is used in full
SPREAD = (32, 64, 256)  # sample sizes of the second stratum, tried in order; then all photos are used
ERRORS = 3.0  # standard errors between the estimate and the limit that settle the comparison

Places = NDArray[np.intp]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Indices into `photos` photos: all of the `worst`, and a sample, `spread`, of all others."""

    photos: int
    worst: Places
    spread: Places

    @property
    def places(self) -> Places:
        return np.concatenate([self.worst, self.spread])

    @property
    def others(self) -> int:
        """The number of photos that aren't among the worst."""
        return self.photos - len(self.worst)

    def mean(self, values: NDArray[np.floating]) -> float:
        """The estimated mean over all photos, from the `values` at `places`."""
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
    """Loss of int8 against float32 over all photos: accuracy (0-1) and log-loss (nats per photo); negative is a gain.

    `error` is the standard error of the log-loss. If `is_at_most`, `accuracy` is an upper bound: float32 is right on
    all photos of the spread sample, like int8. `largest_difference` is between two probabilities of a class.
    """

    accuracy: float
    log_loss: float
    error: float
    is_at_most: bool
    largest_difference: float

    def settles(self, accuracy: float, log_loss: float) -> bool:
        """Whether all photos would very likely give the same verdict for these limits.

        A sample has all photos that int8 can lose and few that it can win, so it can show that no accuracy is lost but
        not that some is.
        """
        is_far = abs(self.log_loss - log_loss) >= ERRORS * self.error
        return self.is_at_most and self.accuracy <= accuracy and is_far


def samples(truth: NDArray[np.int64], int8: Probabilities) -> Iterator[Sample]:
    """Deterministic samples of n photos, of ascending size; the last has all photos.

    They depend on the labels `truth`, (n,), and the probabilities `int8`, (n, classes).
    """
    photos, is_right = len(truth), int8.argmax(axis=1) == truth
    order = np.lexsort((-_losses(truth, int8), is_right))  # the wrong ones first
    worst, rest = np.split(order, [max(WORST, photos - is_right.sum())])
    for size in SPREAD:
        if size < len(rest):
            yield Sample(photos, worst, rest[np.linspace(0, len(rest) - 1, size).round().astype(np.intp)])
    yield Sample(photos, order, order[:0])


def lost(sample: Sample, truth: NDArray[np.int64], f32: Probabilities, int8: Probabilities) -> Lost:
    """The loss, from probabilities `f32` of the sample, (sampled, classes), and `int8` of all photos, (n, classes)."""
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
    """The log-loss of each photo in nats, (n,)."""
    smallest = np.finfo(np.float64).tiny
    found: NDArray[np.float64] = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], smallest))
    return found
