"""What int8 loses against float32, by as few photos as settle it: float32 takes several times as long.

Both answer the same photos, so that what is hard in a photo is hard for both. A photo that int8 is right about is not
lost, and one that it is sure of as well costs hardly any log-loss. So float32 looks at the photos that int8 does worst
on, which stand for themselves, and at some spread over all others, which stand for those: a stratified estimate of a
difference (Cochran, "Sampling Techniques", 1977, chapter 5). Decision 15 has the numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZES = (64, 256)  # photos; where these don't settle it, all of them
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

    `error` is the standard error of the log-loss. The accuracy `is_certain` where int8 is right about all photos but
    the worst, and float32 about the spread ones as well. `largest_difference` is that of two probabilities of a class.
    """

    accuracy: float
    log_loss: float
    error: float
    is_certain: bool
    largest_difference: float

    def settles(self, log_loss: float) -> bool:
        """Whether all photos would hardly give another verdict where so much `log_loss` may be lost."""
        return self.is_certain and abs(self.log_loss - log_loss) >= ERRORS * self.error


def samples(truth: NDArray[np.int64], int8: Probabilities) -> Iterator[Sample]:
    """Samples of n photos, of ascending size, the last of all; always the same ones.

    By their labels `truth` (n,), and by what `int8` says of them, (n, classes).
    """
    photos = len(truth)
    order = np.argsort(-_losses(truth, int8), kind="stable")
    for size in SIZES:
        if size < photos:
            worst, rest = np.split(order, [size // 2])
            even = np.linspace(0, len(rest) - 1, size - len(worst)).round().astype(np.intp)
            yield Sample(photos, worst, rest[even])
    yield Sample(photos, order, order[:0])


def lost(sample: Sample, truth: NDArray[np.int64], f32: Probabilities, int8: Probabilities) -> Lost:
    """By what `f32` says of the sample, (n of sample, classes), and `int8` of all photos, (n, classes)."""
    is_wrong, places = int8.argmax(axis=1) != truth, sample.places
    is_lost = is_wrong[places].astype(np.float64) - (f32.argmax(axis=1) != truth[places])  # -1 where it is won
    losses = _losses(truth[places], int8[places]) - _losses(truth[places], f32)
    outside = is_wrong.sum() - is_wrong[sample.worst].sum()
    return Lost(
        accuracy=sample.mean(is_lost),
        log_loss=sample.mean(losses),
        error=sample.error(losses),
        is_certain=not outside and not is_lost[len(sample.worst) :].any(),
        largest_difference=float(np.abs(f32 - int8[places]).max()),
    )


def _losses(truth: NDArray[np.int64], probabilities: Probabilities) -> NDArray[np.float64]:
    """Nats of each photo, (n,)."""
    smallest = np.finfo(np.float64).tiny
    found: NDArray[np.float64] = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], smallest))
    return found
