"""Statistics of the prediction queue."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

import numpy as np
from prometheus_client import Histogram
from pydantic import BaseModel, Field

from app.admission import AdmissionLimit
from app.telemetry.instruments import SECONDS
from app.telemetry.request_record import PhotoTimes

REMEMBERED = 1000  # photos that the quantiles are of
NEWEST_COUNTS = 0.1  # share of the newest photo in a running mean
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Quantiles(BaseModel, frozen=True):
    """Seconds that half of the photos took at most, and 99 of 100."""

    p50: float
    p99: float


class Recent(BaseModel, frozen=True):
    """The last photos; null for what none of them needed."""

    photos: int = Field(description="How many these are: at most 1,000.")
    decode_seconds: Quantiles | None = Field(description="From the file to pixels.")
    wait_seconds: Quantiles | None = Field(description="For a decoder, and then for the engine.")
    infer_seconds: Quantiles | None = Field(description="In the engine, with the rest of the batch.")
    batch_sizes: dict[str, int] = Field(description="How many batches there were of each size.")


class QueueState(BaseModel, frozen=True):
    """The queue between requests and the engine."""

    depth: int = Field(description="Photos that were admitted and have no answer yet.")
    limit: int = Field(description="How many there may be; more are refused.")
    answered: int = Field(description="Photos since the start.")
    cached: int = Field(description="Of these, those that were known from before.")
    refused: int = Field(description="Requests turned away since the start, because the queue was full.")
    expired: int = Field(description="Photos that had no answer in time.")
    abandoned: int = Field(description="Photos whose client left before the answer.")
    recent: Recent


class QueueStats:
    """Counted and timed since the start, and in more detail over the last REMEMBERED photos.

    The counts are the event loop's; the rest is for threads: to append needs no lock, and histograms have theirs.
    """

    def __init__(self) -> None:
        self.seconds_each = 0.0  # of inference for a photo, about
        self.answered = 0
        self.cached = 0  # of the answers
        self.expired = 0  # at their deadline
        self.abandoned = 0  # by their clients
        self.phase_seconds = Histogram(
            "catdog_phase_duration_seconds",
            "Of requests with photos: reading the body. Of each photo: decoding it, its waits, inference of its batch.",
            ("phase",),
            buckets=SECONDS,
            registry=None,
        )
        self.batch_photos = Histogram(
            "catdog_batch_photos", "Photos that were inferred together.", buckets=BATCH_SIZES, registry=None
        )
        self._decode_seconds, self._queue_seconds, self._infer_seconds = map(
            self.phase_seconds.labels, ("decode", "queue", "infer")
        )
        self._decoded: deque[float] = deque(maxlen=REMEMBERED)
        self._inferred: deque[PhotoTimes] = deque(maxlen=REMEMBERED)

    def decoded(self, photo: PhotoTimes) -> None:
        self._decoded.append(photo.decode_seconds)
        self._decode_seconds.observe(photo.decode_seconds)

    def inferred(self, batch: Sequence[PhotoTimes]) -> None:
        """These were inferred together."""
        self.batch_photos.observe(len(batch))
        for photo in batch:
            self._inferred.append(photo)
            self._queue_seconds.observe(photo.queue_seconds)
            self._infer_seconds.observe(photo.infer_seconds)
            self.seconds_each += (photo.infer_seconds / len(batch) - self.seconds_each) * NEWEST_COUNTS

    def state(self, admission: AdmissionLimit) -> QueueState:
        """All of it, with how full the queue is."""
        inferred = list(self._inferred)
        sizes = Counter(one.batch_size for one in inferred)
        return QueueState(
            depth=admission.taken,
            limit=admission.limit,
            answered=self.answered,
            cached=self.cached,
            refused=admission.refused,
            expired=self.expired,
            abandoned=self.abandoned,
            recent=Recent(
                photos=len(inferred),
                decode_seconds=_quantiles(list(self._decoded)),
                wait_seconds=_quantiles(one.queue_seconds for one in inferred),
                infer_seconds=_quantiles(one.infer_seconds for one in inferred),
                batch_sizes={str(size): photos // size for size, photos in sorted(sizes.items())},
            ),
        )


def _quantiles(seconds: Iterable[float]) -> Quantiles | None:
    values = list(seconds)
    if not values:
        return None
    p50, p99 = np.percentile(values, (50, 99)).tolist()
    return Quantiles(p50=p50, p99=p99)
