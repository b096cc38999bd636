"""Writes the serving benchmark's results as Markdown tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from benchmarks.report.pages import NONE, number, table
from benchmarks.serving.comparison import Comparison
from benchmarks.serving.limits import HINTS, Overhead
from benchmarks.serving.rounds import CLIENTS, MANY, Latency, Summary
from benchmarks.serving.systems import OURS

AT = [f"at {count}" for count in CLIENTS]


def served(comparisons: Sequence[Comparison], overheads: Sequence[Overhead]) -> Iterator[str]:
    """Medians over the rounds, except for counts."""
    yield from _versions(comparisons)
    yield from ("Requests a second, by the number of clients:", "")
    yield from table(["model", "system", *AT], 2, _each(comparisons, _speeds))
    yield from ("", "Milliseconds, p50 / p99; the last column at 70% of the most requests a second, open loop:", "")
    yield from table(["model", "system", *AT, "open loop"], 2, _each(comparisons, _latencies))
    yield from ("", "What else it takes:", "")
    head = ("ready (s)", "first answer (s)", "resident (MB)", "peak (MB)", "processor a request (ms)")
    yield from table(["model", "system", *head, "answered", "failures"], 2, _each(comparisons, _costs))
    yield from _missing(comparisons)
    yield from _differences(comparisons)
    yield from ("", "What can't be passed, photos or requests a second:", "")
    limits = (*(f"benchmark_app, {hint}" for hint in HINTS), "decoding", "both", "of benchmark_app", "of both")
    yield from table(["model", *limits], 1, map(_limits, comparisons))
    if overheads:
        yield from ("", _overhead(overheads))


def _versions(comparisons: Iterable[Comparison]) -> Iterator[str]:
    """What each shipped version gains and costs."""
    head = ("right", "multiply-adds", f"requests a second, {MANY} clients", "p50 of one client (ms)", "resident (MB)")
    rows = [_gains(comparison) for comparison in comparisons if comparison.is_shipped]
    yield from (*table(["version", *head], 1, rows), "")


def _gains(shipped: Comparison) -> list[str]:
    ours, work = shipped.summaries[OURS], shipped.multiply_adds
    return [
        shipped.model,
        accuracy(shipped) or NONE,
        NONE if work is None else f"{work / 1e9:.3g} G",
        number(ours.requests_a_second[MANY]),
        number(ours.latencies[1].p50_seconds, 1e3),
        number(ours.resident_bytes, 1e-6),
    ]


def accuracy(shipped: Comparison) -> str | None:
    """The share of the test photos that the version is right on, as text; None if it wasn't measured."""
    tested = shipped.tested
    return None if tested is None else f"{tested.accuracy:.1%} of {tested.photos:,} test photos"


def _each(comparisons: Iterable[Comparison], cells: Callable[[Summary], list[str]]) -> Iterator[list[str]]:
    for comparison in comparisons:
        for name, summary in comparison.summaries.items():
            yield [comparison.model, name, *cells(summary)]


def _speeds(summary: Summary) -> list[str]:
    return [number(summary.requests_a_second.get(count)) for count in CLIENTS]


def _latencies(summary: Summary) -> list[str]:
    each = [summary.latencies.get(count) for count in CLIENTS]
    return [_latency(latency) for latency in (*each, summary.open)]


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return NONE
    return f"{number(latency.p50_seconds, 1e3)} / {number(latency.p99_seconds, 1e3)}"


def _costs(summary: Summary) -> list[str]:
    return [
        number(summary.ready_seconds),
        number(summary.first_answer_seconds),
        number(summary.resident_bytes, 1e-6),
        number(summary.peak_bytes, 1e-6),
        number(summary.cpu_seconds, 1e3),
        f"{summary.answered:,}",
        f"{summary.failures:,}",
    ]


def _limits(comparison: Comparison) -> list[str]:
    each = comparison.limits
    ours = comparison.summaries[OURS].requests_a_second[MANY]
    inference, decoding, both = (
        median(values) for values in zip(*((one.inference, one.decoding, one.both) for one in each), strict=True)
    )
    hints = [number(median(one.benchmark_app[hint] for one in each)) for hint in HINTS]
    return [comparison.model, *hints, number(decoding), number(both), f"{ours / inference:.2f}", f"{ours / both:.2f}"]


def _missing(comparisons: Iterable[Comparison]) -> Iterator[str]:
    for comparison in comparisons:
        for name, why in comparison.missing.items():
            yield from ("", f"**{name} could not be measured with {comparison.model}: {why.splitlines()[0]}**")


def _differences(comparisons: Iterable[Comparison]) -> Iterator[str]:
    for comparison in comparisons:
        apart = {name: comparison.difference(name) for name in comparison.summaries if name != OURS}
        if apart:
            each = ", ".join(f"{name} {difference:.4f} ({count} photos)" for name, (difference, count) in apart.items())
            yield from ("", f"Largest difference of a probability from ours, {comparison.model}: {each}.")


def _overhead(overheads: Sequence[Overhead]) -> str:
    wall = median(each.wall_seconds for each in overheads)
    cpu = median(each.cpu_seconds for each in overheads)
    return (
        f"Without decoding and inference, on one core and with its client on another, a request takes"
        f" {1e3 * wall:.2f} ms and {1e3 * cpu:.2f} ms of the processor."
    )
