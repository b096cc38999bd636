"""What the benchmark must show, and whether it does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks import retraining, serving, training
from benchmarks.serving import OURS, TUTORIAL

SPEED_RATIO = 3.0  # requests a second, one at a time
READY_SECONDS = 4.0  # of the shipped version
RESIDENT_BYTES = 400e6  # of the shipped version
TRAINING_RATIO = 20.0  # seconds to the same accuracy
NEW_PHOTOS_SHARE = 0.1  # of the first retraining's seconds, with 100 new photos on 2,000 known ones
FIRST_SECONDS = 300.0  # of a retraining, nothing known, at full width
AGAIN_SECONDS = 10.0  # of a retraining, every photo known
P99_RATIO = 2.0  # of predictions beside a training or across swaps, against predictions alone
GROWTH = 0.05  # of resident memory over the swaps that follow the first 20


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


def targets(
    served: Sequence[serving.Comparison],
    trained: training.Comparison | None,
    retrained: Sequence[retraining.Retraining] = (),
) -> Iterator[Row]:
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
    for each in retrained:
        yield from _retraining(each)


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


def _retraining(measured: retraining.Retraining) -> Iterator[Row]:
    """What full width costs has targets of its own; at a smaller one starting a process takes the most."""
    jobs, beside, swaps = measured.jobs, measured.training, measured.swaps
    once = f"{measured.model}, 1 run"
    if measured.is_full_width:
        first, share = jobs.first, jobs.with_new / jobs.first
        yield Row(
            "retrain, nothing known (s)", None, first, once, f"at most {FIRST_SECONDS:g} s", first <= FIRST_SECONDS
        )
        what = f"retrain with {jobs.new_photos} new photos on {jobs.photos:,} known ones, of the first (%)"
        yield Row(what, None, 100 * share, once, f"at most {NEW_PHOTOS_SHARE:.0%}", share <= NEW_PHOTOS_SHARE)
    again = jobs.again
    yield Row(
        "retrain, every photo known (s)", None, again, once, f"at most {AGAIN_SECONDS:g} s", again <= AGAIN_SECONDS
    )
    for what, found in (("beside a training", beside), ("across swaps of heads", swaps.predictions)):
        yield Row(
            f"p99 of predictions {what}, of those alone (times)",
            None,
            found.ratio,
            f"{measured.model}, {found.requests:,} requests",
            f"at most {P99_RATIO:g}x, none failed",
            found.ratio <= P99_RATIO and not found.failures,
        )
    for what, each in (("heads", swaps), ("backbones", measured.backbone_swaps)):
        n = f"{measured.model}, {each.swaps} swaps of {what}"
        wrong, grown = each.wrong + each.predictions.failures, each.growth
        yield Row("answers that failed or weren't their version's", None, wrong, n, "none", not wrong)
        limit = f"at most {GROWTH:.0%}"
        yield Row("memory grown after the first 20 swaps (%)", None, 100 * grown, n, limit, grown <= GROWTH)
