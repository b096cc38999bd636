"""Statistics of the prediction queue."""

import collections
from collections import deque
from collections.abc import Sequence

import numpy as np
from prometheus_client import Counter, Histogram
from pydantic import BaseModel, Field

from app.admission import AdmissionLimit
from app.telemetry.instruments import COUNTED_ELSEWHERE, SECONDS, total
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

    photos: int = Field(description="Number of these photos, at most 1,000 of each process.")
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


class QueueFacts(BaseModel, frozen=True):
    """The queue of one process: its counts, and the last photos in their order."""

    depth: int
    limit: int
    answered: int
    cached: int
    refused: int
    expired: int
    abandoned: int
    decode_seconds: list[float]
    wait_seconds: list[float]
    infer_seconds: list[float]
    batch_sizes: list[int]


class QueueStats:
    """Counts and times since the start, with more detail for the last REMEMBERED photos.

    Appending needs no lock, and counters and histograms have their own.
    """

    def __init__(self) -> None:
        self.seconds_each = 0.0  # estimated time of inference for one photo
        self.answered = Counter("catdog_photos_answered", "Photos answered.", registry=None)
        self.cached = Counter("catdog_photos_cached", "Photos answered from the cache.", registry=None)
        self.rejections = Counter(
            "catdog_rejections",
            "Requests and photos that were refused or failed, by problem: the last part of its type.",
            ("reason",),
            registry=None,
        )
        self.overloaded, self.expired, self.abandoned = map(self.rejections.labels, COUNTED_ELSEWHERE)
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

    def facts(self, admission: AdmissionLimit) -> QueueFacts:
        """The state of this process."""
        inferred = list(self._inferred)
        return QueueFacts(
            depth=admission.taken,
            limit=admission.limit,
            answered=total(self.answered),
            cached=total(self.cached),
            refused=admission.refused,
            expired=total(self.expired),
            abandoned=total(self.abandoned),
            decode_seconds=list(self._decoded),
            wait_seconds=[one.queue_seconds for one in inferred],
            infer_seconds=[one.infer_seconds for one in inferred],
            batch_sizes=[one.batch_size for one in inferred],
        )


def together(queues: Sequence[QueueFacts]) -> QueueState:
    """The state of the queues of several processes as of one."""

    def added(name: str) -> int:
        return sum(getattr(each, name) for each in queues)

    def joined(name: str) -> list[float]:
        return [value for each in queues for value in getattr(each, name)]

    sizes = collections.Counter(size for each in queues for size in each.batch_sizes)
    return QueueState(
        **{name: added(name) for name in ("depth", "limit", "answered", "cached", "refused", "expired", "abandoned")},
        recent=Recent(
            photos=sizes.total(),
            decode_seconds=_quantiles(joined("decode_seconds")),
            wait_seconds=_quantiles(joined("wait_seconds")),
            infer_seconds=_quantiles(joined("infer_seconds")),
            batch_sizes={str(size): photos // size for size, photos in sorted(sizes.items())},
        ),
    )


def _quantiles(seconds: Sequence[float]) -> Quantiles | None:
    if not seconds:
        return None
    p50, p99 = np.percentile(seconds, (50, 99)).tolist()
    return Quantiles(p50=p50, p99=p99)
