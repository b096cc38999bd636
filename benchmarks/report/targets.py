"""Compares results with their targets."""

from collections.abc import Iterator, Sequence

from benchmarks.report import serving_targets
from benchmarks.report.serving_targets import Row
from benchmarks.serving import comparison
from benchmarks.serving.limits import Overhead
from benchmarks.serving.systems import TUTORIAL
from benchmarks.trainer import retraining, training

TRAINING_RATIO = 20.0  # seconds to the same accuracy
NEW_PHOTOS_SHARE = 0.1  # of the first retraining's seconds, with 100 new photos on 2,000 known ones
FIRST_SECONDS = 300.0  # of a retraining, nothing known, at full width
AGAIN_SECONDS = 10.0  # of a retraining, every photo known
P99_RATIO = 2.0  # of predictions during a training or swaps, against predictions alone
GROWTH = 0.05  # of resident memory, over the swaps after the first 20


def targets(
    served: Sequence[comparison.Comparison] = (),
    overheads: Sequence[Overhead] = (),
    trained: training.Comparison | None = None,
    retrained: Sequence[retraining.Retraining] = (),
) -> Iterator[Row]:
    """The rows for which a run has results."""
    yield from serving_targets.rows(served, overheads)
    if trained:
        yield _training("head-only training, nothing known (s)", trained.cold, trained)
        yield _training("head-only training, features known (s)", trained.cached, trained)
    for each in retrained:
        yield from _retraining(each)


def _training(what: str, ours: training.Training, measured: training.Comparison) -> Row:
    ratio = measured.tutorial.seconds / ours.seconds
    reached = ratio >= TRAINING_RATIO
    against = (TUTORIAL, measured.tutorial.seconds)
    return Row(what, ours.seconds, "1 run", f"{TRAINING_RATIO:g}x", reached, against, ratio, not measured.reached)


def _retraining(measured: retraining.Retraining) -> Iterator[Row]:
    """Full width has additional targets; at a smaller width starting a process takes most of the time."""
    jobs, beside, swaps = measured.jobs, measured.training, measured.swaps
    once = f"{measured.model}, 1 run"
    if measured.is_full_width:
        first, share = jobs.first, jobs.with_new / jobs.first
        yield Row("retrain, nothing known (s)", first, once, f"at most {FIRST_SECONDS:g} s", first <= FIRST_SECONDS)
        what = f"retrain with {jobs.new_photos} new photos on {jobs.photos:,} known ones, of the first (%)"
        yield Row(what, 100 * share, once, f"at most {NEW_PHOTOS_SHARE:.0%}", share <= NEW_PHOTOS_SHARE)
    again = jobs.again
    yield Row("retrain, every photo known (s)", again, once, f"at most {AGAIN_SECONDS:g} s", again <= AGAIN_SECONDS)
    for what, found in (("beside a training", beside), ("across swaps of heads", swaps.predictions)):
        yield Row(
            f"p99 of predictions {what}, of those alone (times)",
            found.ratio,
            f"{measured.model}, {found.requests:,} requests",
            f"at most {P99_RATIO:g}x, none failed",
            found.ratio <= P99_RATIO and not found.failures,
        )
    for what, each in (("heads", swaps), ("backbones", measured.backbone_swaps)):
        n = f"{measured.model}, {each.swaps} swaps of {what}"
        wrong, grown = each.wrong + each.predictions.failures, each.growth
        yield Row("answers that failed or weren't their version's", wrong, n, "none", not wrong)
        limit = f"at most {GROWTH:.0%}"
        yield Row("memory grown after the first 20 swaps (%)", 100 * grown, n, limit, grown <= GROWTH)
