"""Converts numbers to prometheus_client's metric families."""

from collections.abc import Mapping
from itertools import accumulate
from typing import TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from app.telemetry.histogram import Histogram

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
