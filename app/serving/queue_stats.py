"""Statistics of the prediction queue."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

import numpy as np
from prometheus_client import Histogram
from pydantic import BaseModel, Field

from app.admission import AdmissionLimit
from app.telemetry.instruments import SECONDS
from app.telemetry.request_record import PhotoTimes

REMEMBERED = 1000  # photos that the quantiles are computed from
NEWEST_COUNTS = 0.1  # weight of the newest photo in a running mean
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Quantiles(BaseModel, frozen=True):
    """Median and 99th percentile, in seconds."""

    p50: float
    p99: float


class Recent(BaseModel, frozen=True):
    """Statistics of the last photos; null for a step that none of them needed."""

    photos: int = Field(description="Number of these photos, at most 1,000.")
    decode_seconds: Quantiles | None = Field(description="From the file to pixels.")
    wait_seconds: Quantiles | None = Field(description="Wait for a decoder and then for the engine.")
    infer_seconds: Quantiles | None = Field(description="Inference of the whole batch.")
    batch_sizes: dict[str, int] = Field(description="Number of batches of each size.")


class QueueState(BaseModel, frozen=True):
    """The queue between requests and the engine."""

    depth: int = Field(description="Photos admitted and not answered yet.")
    limit: int = Field(description="Limit of `depth`; more are refused.")
    answered: int = Field(description="Photos answered since the start.")
    cached: int = Field(description="Photos answered from the cache.")
    refused: int = Field(description="Requests refused since the start because the queue was full.")
    expired: int = Field(description="Photos that weren't answered in time.")
    abandoned: int = Field(description="Photos whose client disconnected before the answer.")
    recent: Recent


class QueueStats:
    """Counts and times since the start, with more detail for the last REMEMBERED photos.

    The counts are for the event loop, the rest for threads: appending needs no lock, and histograms have their own.
    """

    def __init__(self) -> None:
        self.seconds_each = 0.0  # estimated time of inference for one photo
        self.answered = 0
        self.cached = 0  # of the answers
        self.expired = 0  # at their deadline
        self.abandoned = 0  # by their clients
        self.phase_seconds = Histogram(
            "catdog_phase_duration_seconds",
            "Per request with photos: reading the body. Per photo: decoding, waiting, inference of its batch.",
            ("phase",),
            buckets=SECONDS,
            registry=None,
        )
        self.batch_photos = Histogram(
            "catdog_batch_photos", "Photos inferred together.", buckets=BATCH_SIZES, registry=None
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
        """Record photos that were inferred together."""
        self.batch_photos.observe(len(batch))
        for photo in batch:
            self._inferred.append(photo)
            self._queue_seconds.observe(photo.queue_seconds)
            self._infer_seconds.observe(photo.infer_seconds)
            self.seconds_each += (photo.infer_seconds / len(batch) - self.seconds_each) * NEWEST_COUNTS

    def state(self, admission: AdmissionLimit) -> QueueState:
        """All statistics, with the state of the queue."""
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
