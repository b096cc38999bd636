"""What the benchmark must show, and whether it does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks import serving, training
from benchmarks.serving import OURS, TUTORIAL

SPEED_RATIO = 3.0  # requests a second, one at a time
READY_SECONDS = 4.0  # of the shipped version
RESIDENT_BYTES = 400e6  # of the shipped version
TRAINING_RATIO = 20.0  # seconds to the same accuracy


@dataclass(frozen=True)
class Row:
    """One number of both systems beside its target; None where a system has none. `n` says of how many it is."""

    what: str
    tutorial: float | None
    ours: float | None
    n: str
    target: str
    reached: bool
    ratio: float | None = None  # how many times better ours is
    is_bound: bool = False  # the ratio is at least that

    @property
    def ratio_text(self) -> str:
        return "" if self.ratio is None else f"{'over ' if self.is_bound else ''}{self.ratio:.1f}x"


def targets(served: Sequence[serving.Comparison], trained: training.Comparison | None) -> Iterator[Row]:
    """The rows that a run can fill; what was served begins with the shipped version.

    A service that failed to answer, however seldom, reached no target.
    """
    for comparison in served:
        yield _speed(comparison)
    for comparison in served[:1]:
        yield from _start(comparison)
    if trained:
        yield _training("head-only training, nothing known (s)", trained.cold, trained)
        yield _training("head-only training, features known (s)", trained.cached, trained)


def _speed(comparison: serving.Comparison) -> Row:
    ours, tutorial = comparison.summaries[OURS], comparison.summaries[TUTORIAL]
    ratio = ours.requests_a_second / tutorial.requests_a_second if tutorial.requests_a_second else None
    return Row(
        f"requests a second, {comparison.model}",
        tutorial.requests_a_second,
        ours.requests_a_second,
        f"{ours.rounds} rounds",
        f"at least {SPEED_RATIO:g}x",
        not ours.failures and ratio is not None and ratio >= SPEED_RATIO,
        ratio,
    )


def _start(comparison: serving.Comparison) -> Iterator[Row]:
    ours, tutorial = comparison.summaries[OURS], comparison.summaries[TUTORIAL]
    n = f"{ours.rounds} rounds"
    ready = ours.ready_seconds
    target = f"at most {READY_SECONDS:g} s"
    in_time = not ours.failures and ready is not None and ready <= READY_SECONDS
    yield Row("ready after the start (s)", None, ready, n, target, in_time)
    if ours.resident_bytes is not None and tutorial.resident_bytes is not None:
        yield Row(
            "resident memory (MB)",
            tutorial.resident_bytes / 1e6,
            ours.resident_bytes / 1e6,
            n,
            f"under {RESIDENT_BYTES / 1e6:g} MB",
            not ours.failures and ours.resident_bytes < RESIDENT_BYTES,
            tutorial.resident_bytes / ours.resident_bytes,
        )


def _training(what: str, ours: training.Training, measured: training.Comparison) -> Row:
    ratio = measured.tutorial.seconds / ours.seconds
    return Row(
        what,
        measured.tutorial.seconds,
        ours.seconds,
        "1 run",
        f"{TRAINING_RATIO:g}x",
        ratio >= TRAINING_RATIO,
        ratio,
        is_bound=not measured.reached,
    )
