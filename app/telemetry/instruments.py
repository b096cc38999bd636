"""The instruments of `prometheus_client` that requests update, and families of numbers read elsewhere."""

import collections
from collections.abc import Mapping
from typing import TypeVar

from prometheus_client import Counter, Histogram, disable_created_metrics
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.telemetry.request_record import RequestRecord

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each

# From a millisecond to ten seconds, five per decade: a quantile read from them is off by a quarter at most.
SECONDS = (*(round(step * 10**power, 4) for power in range(-3, 1) for step in (1, 1.6, 2.5, 4, 6.3)), 10.0)


Labels = TypeVar("Labels", bound=tuple[str, ...])


def gauge(name: str, help: str, value: float | None) -> Metric:
    """A family of one number, or an empty one if the number isn't known."""
    return gauges(name, help, {} if value is None else {(): value})


def gauges(name: str, help: str, values: Mapping[Labels, float], *labels: str) -> Metric:
    """A family of gauges, by the values of these labels."""
    family = GaugeMetricFamily(name, help, labels=labels)
    for those, value in values.items():
        family.add_metric(those, value)
    return family


def counter(name: str, help: str, value: float) -> Metric:
    return counters(name, help, {(): value})


def counters(name: str, help: str, values: Mapping[Labels, float], *labels: str) -> Metric:
    """A family of counters, by the values of these labels; the page adds `_total` to the name."""
    family = CounterMetricFamily(name, help, labels=labels)
    for those, value in values.items():
        family.add_metric(those, value)
    return family


class Requests:
    """Counts and times requests, and the reading of bodies with photos as a phase of them."""

    def __init__(self, phase_seconds: Histogram) -> None:
        self.problems: collections.Counter[str] = collections.Counter()  # by kind, photos of batches included
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
        self.problems.update(record.problems)
        if record.photos and record.received:
            self._read_seconds.observe(record.received - record.began)
