"""How the queue does: how many wait, how long each part of an answer took, and what was turned away."""

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from app.queue_schemas import Quantiles, QueueState, Recent
from app.room import Room

REMEMBERED = 1000  # photos that the quantiles are of
NEWEST_COUNTS = 0.1  # share of the newest photo in a running mean


class Timing(NamedTuple):
    """Of one photo: how long it waited for its turns, and how long the batch took that it was inferred in."""

    waited_seconds: float
    inferred_seconds: float
    batch_size: int


class Measurements:
    """Counted since the start, and timed over the last REMEMBERED photos.

    The counts are the event loop's; threads only append, which needs no lock.
    """

    def __init__(self) -> None:
        self.seconds_each = 0.0  # of inference for a photo, about
        self.answered = 0
        self.cached = 0  # of the answers
        self.expired = 0  # at their deadline
        self.abandoned = 0  # by their clients
        self._decoded: deque[float] = deque(maxlen=REMEMBERED)
        self._inferred: deque[Timing] = deque(maxlen=REMEMBERED)

    def decoded(self, seconds: float) -> None:
        self._decoded.append(seconds)

    def inferred(self, timing: Timing) -> None:
        self._inferred.append(timing)
        self.seconds_each += (timing.inferred_seconds / timing.batch_size - self.seconds_each) * NEWEST_COUNTS

    def state(self, room: Room) -> QueueState:
        """All of it, with how full the queue is."""
        inferred = list(self._inferred)
        sizes = Counter(one.batch_size for one in inferred)
        return QueueState(
            depth=room.taken,
            limit=room.limit,
            answered=self.answered,
            cached=self.cached,
            refused=room.refused,
            expired=self.expired,
            abandoned=self.abandoned,
            recent=Recent(
                photos=len(inferred),
                decode_seconds=_quantiles(list(self._decoded)),
                wait_seconds=_quantiles(one.waited_seconds for one in inferred),
                infer_seconds=_quantiles(one.inferred_seconds for one in inferred),
                batch_sizes={str(size): photos // size for size, photos in sorted(sizes.items())},
            ),
        )


def _quantiles(seconds: Iterable[float]) -> Quantiles | None:
    values = list(seconds)
    if not values:
        return None
    p50, p99 = np.percentile(values, (50, 99)).tolist()
    return Quantiles(p50=p50, p99=p99)
