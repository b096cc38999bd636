"""Counts and times requests by route, for Prometheus."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from app.telemetry.histogram import SECONDS, Histogram
from app.telemetry.metrics_families import counters, histograms
from app.telemetry.request_record import Exchange


class Requests:
    """Since the start. Told on the event loop; may be read on any thread."""

    def __init__(self) -> None:
        self.problems: Counter[str] = Counter()  # by the name of their kind, photos of batches as well
        self.read = Histogram(SECONDS)  # bodies with photos
        self._answered: Counter[tuple[str, str, str]] = Counter()
        self._seconds: defaultdict[tuple[str, str], Histogram] = defaultdict(lambda: Histogram(SECONDS))

    def tell(self, exchange: Exchange) -> None:
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
