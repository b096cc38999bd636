"""The instruments of `prometheus_client` that requests update, and families of numbers read elsewhere."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from prometheus_client import Counter, Histogram, disable_created_metrics, values
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from app.telemetry.request_record import RequestRecord

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it
# Counted where they happen, because a request may have several photos, and one that waits may be cut off.
COUNTED_ELSEWHERE = ("overloaded", "expired", "client-gone")

# From a millisecond to ten seconds, five per decade: a quantile read from them is off by a quarter at most.
SECONDS = (*(round(step * 10**power, 4) for power in range(-3, 1) for step in (1, 1.6, 2.5, 4, 6.3)), 10.0)


Labels = TypeVar("Labels", bound=tuple[str, ...])


def keep_in_files(folder: Path, number: int) -> None:
    """Keep what is counted from now on in files, for the metrics of several processes with different numbers.

    A process with the number of one that died counts on from its counts.
    """
    os.environ[METRICS_FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


def total(counter: Counter) -> int:
    """What this process has counted."""
    return int(sum(sample.value for family in counter.collect() for sample in family.samples))


def gauge(name: str, help: str, value: float | None) -> Metric:
    """A family of one number, or an empty one if the number isn't known."""
    return gauges(name, help, {} if value is None else {(): value})


def gauges(name: str, help: str, values: Mapping[Labels, float], *labels: str) -> Metric:
    """A family of gauges, by the values of these labels."""
    family = GaugeMetricFamily(name, help, labels=labels)
    for those, value in values.items():
        family.add_metric(those, value)
    return family


class Requests:
    """Counts and times requests, and the reading of bodies with photos as a phase of them.

    `rejections` counts by the kind of problem, photos of batches included.
    """

    def __init__(self, phase_seconds: Histogram, rejections: Counter) -> None:
        self._rejections = rejections
        self.answered = Counter(
            "catdog_requests",
            "Requests, by method, address (its template) and HTTP status.",
            ("method", "route", "status"),
            registry=None,
        )
        self.seconds = Histogram(
            "catdog_request_duration_seconds",
            "From the head of a request to the end of its answer; for a stream, to its end or a disconnect.",
            ("method", "route"),
            buckets=SECONDS,
            registry=None,
        )
        self._read_seconds = phase_seconds.labels("read")

    def tell(self, record: RequestRecord) -> None:
        """Count a request that has ended."""
        method, route = record.method, record.route
        self.answered.labels(method, route, str(record.status)).inc()
        self.seconds.labels(method, route).observe(record.seconds)
        for problem in record.problems:
            if problem not in COUNTED_ELSEWHERE:
                self._rejections.labels(problem).inc()
        if record.photos and record.received:
            self._read_seconds.observe(record.received - record.began)
