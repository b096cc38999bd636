"""The serving benchmark's targets.

A service with any failed request reaches no target.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.serving.comparison import Comparison
from benchmarks.serving.limits import Overhead
from benchmarks.serving.rounds import MANY, Summary
from benchmarks.serving.systems import BATCHING, OURS, TUTORIAL


@dataclass(frozen=True)
class Row:
    """One number of ours and its target; `n` is the sample, `against` the name and number it is compared with."""

    what: str
    ours: float | None  # None if it could not be measured, also in `against`
    n: str
    target: str
    reached: bool
    against: tuple[str, float | None] | None = None
    ratio: float | None = None  # by which factor ours is better
    is_bound: bool = False  # the ratio is at least that

    @property
    def ratio_text(self) -> str:
        """The ratio, with two decimals below 2."""
        if self.ratio is None:
            return ""
        return f"{'over ' if self.is_bound else ''}{self.ratio:.{2 if self.ratio < 2 else 1}f}x"


TUTORIAL_RATIO = 5.0  # requests per second, at full width
BATCHING_RATIO = 4.0  # the same, against the best system that forms batches
SLIM_TUTORIAL_RATIO = 60.0  # of the slim version, against the tutorial's way at full width
SLIM_BATCHING_RATIO = 5.0  # the same, against the best system that forms batches, with the slim version
P50_RATIO = 5.0  # of a single client
FIRST_ANSWER_RATIO = 4.0  # seconds from the start
RESIDENT_RATIO = 3.0
INFERENCE_SHARE = 0.95  # requests per second, as a share of benchmark_app's
BOTH_SHARE = 0.85  # the same, as a share of the limit of decoding and inference together
OPEN_TIMES = 2.5  # p99 at 70% of capacity, as a multiple of a single client's p50
OVERHEAD_SECONDS = 0.55e-3  # of the processor, per request
READY_SECONDS = 4.0  # at full width
RESIDENT_BYTES = 400e6
SLIM_FIRST_ANSWER_SECONDS = 0.5
SLIM_RESIDENT_BYTES = 180e6

Number = Callable[[Summary], float | None]


def rows(served: Sequence[Comparison], overheads: Sequence[Overhead]) -> Iterator[Row]:
    kinds = {comparison.kind: comparison for comparison in served}
    full, slim = kinds.get("full width"), kinds.get("slim")
    if full:
        yield from _against_others(full)
        yield _of_inference(kinds.get("without AMX", full))
        yield _open(full)
    if slim:
        yield from _slim_against_others(slim, full)
        yield _of_both(slim)
        yield _open(slim)
    for comparison in served:
        if comparison.is_shipped:
            yield from _alone(comparison)
    if overheads:
        yield _overhead(overheads)


def _against_others(full: Comparison) -> Iterator[Row]:
    summaries, model = full.summaries, full.model
    ours, tutorial = summaries[OURS], summaries.get(TUTORIAL)
    speed = _speed_of(model)
    yield _more(speed, TUTORIAL, tutorial, ours, TUTORIAL_RATIO)
    yield _more(speed, *_best(summaries), ours, BATCHING_RATIO)
    yield _less(f"p50 of a single client (ms), {model}", _p50_milliseconds, tutorial, ours, P50_RATIO)
    yield _less(f"from the start to the first answer (s), {model}", _first_answer, tutorial, ours, FIRST_ANSWER_RATIO)
    yield _less(f"resident memory (MB), {model}", _resident_megabytes, tutorial, ours, RESIDENT_RATIO)


def _slim_against_others(slim: Comparison, full: Comparison | None) -> Iterator[Row]:
    ours, speed = slim.summaries[OURS], _speed_of(slim.model)
    tutorial = full.summaries.get(TUTORIAL) if full else None
    yield _more(speed, f"{TUTORIAL} at full width", tutorial, ours, SLIM_TUTORIAL_RATIO)
    yield _more(speed, *_best(slim.summaries), ours, SLIM_BATCHING_RATIO)


def _best(summaries: Mapping[str, Summary]) -> tuple[str, Summary | None]:
    """The fastest of those that form batches; None if none could be measured."""
    best = max((name for name in BATCHING if name in summaries), key=lambda name: _speed(summaries[name]), default="")
    return best or "the best that forms batches", summaries.get(best)


def _more(what: str, name: str, theirs: Summary | None, ours: Summary, least: float) -> Row:
    """The row of requests per second; `theirs` is None if they could not be measured."""
    speed = _speed(theirs) if theirs else None
    ratio = _speed(ours) / speed if speed else None
    reached = not ours.failures and ratio is not None and ratio >= least
    return Row(what, _speed(ours), _n(ours), f"at least {least:g}x", reached, (name, speed), ratio)


def _less(what: str, of: Number, tutorial: Summary | None, ours: Summary, least: float) -> Row:
    theirs, own = of(tutorial) if tutorial else None, of(ours)
    ratio = theirs / own if theirs and own else None
    reached = not ours.failures and ratio is not None and ratio >= least
    return Row(what, own, _n(ours), f"at most 1/{least:g}", reached, (TUTORIAL, theirs), ratio)


def _of_inference(comparison: Comparison) -> Row:
    limit = median(each.inference for each in comparison.limits)
    return _share(comparison, "benchmark_app", limit, INFERENCE_SHARE)


def _of_both(comparison: Comparison) -> Row:
    limit = median(each.both for each in comparison.limits)
    return _share(comparison, "1 / (decoding + inference)", limit, BOTH_SHARE)


def _share(comparison: Comparison, name: str, limit: float, least: float) -> Row:
    ours = comparison.summaries[OURS]
    ratio = _speed(ours) / limit
    reached = not ours.failures and ratio >= least
    what = _speed_of(comparison.model)
    return Row(what, _speed(ours), _n(ours), f"at least {least:g}", reached, (name, limit), ratio)


def _open(comparison: Comparison) -> Row:
    ours = comparison.summaries[OURS]
    unloaded, loaded = ours.latencies[1].p50_seconds, ours.open and ours.open.p99_seconds
    times = loaded / unloaded if loaded and unloaded else None
    reached = not ours.failures and times is not None and times <= OPEN_TIMES
    what = f"p99 at 70% of capacity, of the unloaded p50 (times), {comparison.model}"
    return Row(what, times, _n(ours), f"at most {OPEN_TIMES:g}", reached)


def _alone(shipped: Comparison) -> Iterator[Row]:
    """Targets for the start and the memory, without a comparison."""
    ours, model = shipped.summaries[OURS], shipped.model
    start, seconds = "ready after the start (s)", ours.ready_seconds
    most, most_bytes = READY_SECONDS, RESIDENT_BYTES
    if shipped.kind == "slim":
        start, seconds = "from the start to the first answer (s)", ours.first_answer_seconds
        most, most_bytes = SLIM_FIRST_ANSWER_SECONDS, SLIM_RESIDENT_BYTES
    in_time = not ours.failures and seconds is not None and seconds <= most
    yield Row(f"{start}, {model}", seconds, _n(ours), f"at most {most:g} s", in_time)
    if (resident := ours.resident_bytes) is not None:
        target, is_small = f"under {most_bytes / 1e6:g} MB", not ours.failures and resident < most_bytes
        yield Row(f"resident memory (MB), {model}", resident / 1e6, _n(ours), target, is_small)


def _overhead(overheads: Sequence[Overhead]) -> Row:
    seconds = median(each.cpu_seconds for each in overheads)
    reached = seconds <= OVERHEAD_SECONDS and not any(each.failures for each in overheads)
    what = "a request besides decoding and inference (ms of the processor), one client, one core"
    return Row(what, 1e3 * seconds, _rounds(len(overheads)), f"at most {1e3 * OVERHEAD_SECONDS:g} ms", reached)


def _speed_of(model: str) -> str:
    return f"requests a second, {MANY} clients, {model}"


def _speed(summary: Summary) -> float:
    return summary.requests_a_second[MANY]


def _n(summary: Summary) -> str:
    return _rounds(summary.rounds)


def _rounds(count: int) -> str:
    return "1 round" if count == 1 else f"{count} rounds"


def _p50_milliseconds(summary: Summary) -> float | None:
    seconds = summary.latencies[1].p50_seconds
    return None if seconds is None else 1e3 * seconds


def _first_answer(summary: Summary) -> float | None:
    return summary.first_answer_seconds


def _resident_megabytes(summary: Summary) -> float | None:
    return None if summary.resident_bytes is None else summary.resident_bytes / 1e6
