"""Converts numbers to prometheus_client's metric families."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from threading import Lock
from typing import TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from app.telemetry.request_record import RequestRecord

# From a millisecond to ten seconds, five to a decade: a quantile read from them is off by a quarter at most.
SECONDS = (*(round(step * 10**power, 4) for power in range(-3, 1) for step in (1, 1.6, 2.5, 4, 6.3)), 10.0)


class Histogram:
    """Counts values by the bound that they don't pass; any number of threads may add to it."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds  # ascending
        self._counts = [0] * (len(bounds) + 1)  # the last one is of what passes them all
        self._sum = 0.0
        self._lock = Lock()

    def add(self, value: float) -> None:
        place = bisect_left(self.bounds, value)
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def read(self) -> tuple[list[int], float]:
        """The count of each bound, that beyond them all, and the sum of the values."""
        with self._lock:
            return list(self._counts), self._sum


Labels = TypeVar("Labels", bound=tuple[str, ...])


def gauge(name: str, help: str, value: float | None) -> Metric:
    """A family of one number, or of none where that isn't known."""
    return gauges(name, help, {} if value is None else {(): value})


def gauges(name: str, help: str, values: Mapping[Labels, float], *labels: str) -> Metric:
    """Numbers that go up and down, by the values of these labels."""
    family = GaugeMetricFamily(name, help, labels=labels)
    for those, value in values.items():
        family.add_metric(those, value)
    return family


def counter(name: str, help: str, value: float) -> Metric:
    return counters(name, help, {(): value})


def counters(name: str, help: str, values: Mapping[Labels, float], *labels: str) -> Metric:
    """Numbers that only grow, by the values of these labels; the page adds `_total` to the name."""
    family = CounterMetricFamily(name, help, labels=labels)
    for those, value in values.items():
        family.add_metric(those, value)
    return family


def histograms(name: str, help: str, values: Mapping[Labels, Histogram], *labels: str) -> Metric:
    """How often what took how much, by the values of these labels."""
    family = HistogramMetricFamily(name, help, labels=labels)
    for those, histogram in values.items():
        counts, total = histogram.read()
        names = (*map(floatToGoString, histogram.bounds), "+Inf")
        family.add_metric(those, list(zip(names, accumulate(counts), strict=True)), total)
    return family


class Requests:
    """Since the start. Told on the event loop; may be read on any thread."""

    def __init__(self) -> None:
        self.problems: Counter[str] = Counter()  # by the name of their kind, photos of batches as well
        self.read = Histogram(SECONDS)  # bodies with photos
        self._answered: Counter[tuple[str, str, str]] = Counter()
        self._seconds: defaultdict[tuple[str, str], Histogram] = defaultdict(lambda: Histogram(SECONDS))

    def tell(self, exchange: RequestRecord) -> None:
        method, route = exchange.method, exchange.route
        self._answered[method, route, str(exchange.status)] += 1
        self._seconds[method, route].add(exchange.seconds)
        self.problems.update(exchange.problems)
        if exchange.photos and exchange.received:
            self.read.add(exchange.received - exchange.began)

    def families(self) -> Iterator[Metric]:
        """Copies are read: there may be a new address meanwhile."""
        yield counters(
            "catdog_requests",
            "Requests, by method, address (its template) and HTTP status.",
            self._answered.copy(),
            "method",
            "route",
            "status",
        )
        yield histograms(
            "catdog_request_duration_seconds",
            "From the head of a request to the end of its answer; a stream's is as long as it was watched.",
            self._seconds.copy(),
            "method",
            "route",
        )
