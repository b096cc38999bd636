"""Detects drift from the validation set by the population stability index.

The index is the sum over the bins of two histograms of (p - q) ln(p / q), where p and q are shares of photos; above
0.25 the drift is large (Siddiqi, "Credit Risk Scorecards", 2006). For few photos it is large by chance: without drift
it is about 1/n + 1/m times a chi-squared variable with one degree of freedom less than there are bins (Yurdakul,
"Statistical Properties of Population Stability Index", 2018).
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from time import monotonic
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from app.serving.prediction import Prediction
from catdog.versions.measurements import Histogram, Measure

SLOT_SECONDS: Final = 300  # counted together
SLOTS_AN_HOUR: Final = 3600 // SLOT_SECONDS
HOURS: Final = 24  # of counts that are kept
MUCH: Final = 0.25  # index of a large drift
UNSEEN: Final = 0.5  # photos added to every bin: with an empty bin the index would be infinite
NORMAL_99: Final = 2.326  # 99% quantile of the standard normal distribution

Counts = NDArray[np.int64]


class Slot(NamedTuple):
    """Photos by bin, counted during the SLOT_SECONDS that began at `number` * SLOT_SECONDS of the clock."""

    number: int
    counts: dict[Measure, Counts]


class Shift(BaseModel, frozen=True):
    """How far the distribution of one number has drifted from that on the version's validation photos."""

    measure: Measure = Field(
        description="`probability`: of the predicted class; `familiarity`: how much a photo is like those of the"
        " classes."
    )
    photos: int = Field(description="Photos answered within these hours.")
    psi: float | None = Field(
        ge=0,
        description="Population stability index, without upper limit: 0 is no drift, up to 0.1 little, from 0.25 much."
        " Null without a photo.",
    )
    by_chance: float | None = Field(
        ge=0,
        description="The index stays below it in 99 of 100 cases without drift; the fewer photos, the larger it is."
        " Null without a photo.",
    )
    drifted: bool = Field(description="Whether the index is above 0.25 and above `by_chance`.")
    edges: tuple[float, ...] = Field(
        description="Lower edges of the bins, ascending; the first bin is below the first edge."
    )
    usual: tuple[float, ...] = Field(description="Share of the validation photos in each bin, 0-1.")
    recent: tuple[float, ...] = Field(description="Share of these photos in each bin, 0-1; all 0 without a photo.")


class Drift:
    """Counts of one version's answers in the last 24 hours. Thread-safe."""

    def __init__(self, usual: Mapping[Measure, Histogram], clock: Callable[[], float] = monotonic) -> None:
        self._usual = usual
        self._clock = clock
        self._slots: deque[Slot] = deque(maxlen=HOURS * SLOTS_AN_HOUR)
        self._lock = Lock()

    def add(self, prediction: Prediction) -> None:
        """Count an answer."""
        values: dict[Measure, float | None] = {
            "probability": prediction.probability,
            "familiarity": prediction.familiarity,
        }
        with self._lock:
            counts = self._newest().counts
            for measure, histogram in self._usual.items():
                if (value := values[measure]) is not None:
                    counts[measure][histogram.bin_of(value)] += 1

    def counts(self, hours: int) -> dict[Measure, list[int]]:
        """The photos of the last `hours`, 1 to HOURS, by bin of each number."""
        oldest = self._now() - hours * SLOTS_AN_HOUR + 1
        with self._lock:
            recent = [slot.counts for slot in self._slots if slot.number >= oldest]
            summed = {each: sum((counts[each] for counts in recent), _none(self._usual[each])) for each in self._usual}
        return {measure: counts.tolist() for measure, counts in summed.items()}

    def shifts(self, hours: int = 1, elsewhere: Sequence[Mapping[Measure, list[int]]] = ()) -> tuple[Shift, ...]:
        """How far each number has drifted in the last `hours`, 1 to HOURS, with the counts of other processes."""
        every = [self.counts(hours), *elsewhere]
        return tuple(
            _shift(measure, histogram, np.sum([counts[measure] for counts in every], axis=0))
            for measure, histogram in self._usual.items()
        )

    def _now(self) -> int:
        return int(self._clock() // SLOT_SECONDS)

    def _newest(self) -> Slot:
        now = self._now()
        if not self._slots or self._slots[-1].number != now:
            self._slots.append(Slot(now, {measure: _none(histogram) for measure, histogram in self._usual.items()}))
        return self._slots[-1]


def _none(histogram: Histogram) -> Counts:
    return np.zeros(len(histogram.photos), np.int64)


def _shift(measure: Measure, histogram: Histogram, recent: Counts) -> Shift:
    usual, photos = np.array(histogram.photos), int(recent.sum())
    psi = by_chance = None
    if photos:
        psi, by_chance = stability_index(usual, recent), index_by_chance(int(usual.sum()), photos, len(usual))
    return Shift(
        measure=measure,
        photos=photos,
        psi=psi,
        by_chance=by_chance,
        drifted=psi is not None and by_chance is not None and psi > max(MUCH, by_chance),
        edges=histogram.edges,
        usual=tuple((usual / usual.sum()).tolist()),
        recent=tuple((recent / max(photos, 1)).tolist()),
    )


def stability_index(usual: Counts, recent: Counts) -> float:
    """The population stability index of photos counted by bin, (bins,) each."""
    p, q = ((counts + UNSEEN) / (counts + UNSEEN).sum() for counts in (usual, recent))
    return float(((p - q) * np.log(p / q)).sum())


def index_by_chance(usual: int, recent: int, bins: int) -> float:
    """Approximate 99% quantile of the index without drift, for these numbers of photos.

    By the approximation of Wilson & Hilferty, "The Distribution of Chi-square" (1931).
    """
    ninths = 2 / (9 * (bins - 1))
    quantile: float = (bins - 1) * (1 - ninths + NORMAL_99 * ninths**0.5) ** 3
    return (1 / usual + 1 / recent) * quantile
