"""Writes results as Markdown tables."""

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.report.serving_targets import Row
from benchmarks.serving.systems import OURS, TUTORIAL
from benchmarks.trainer import growth, retraining, training

NONE = "–"


def number(value: float | None, unit: float = 1.0) -> str:
    """The value with three digits, multiplied by `unit`."""
    if value is None:
        return NONE
    scaled = value * unit
    return f"{scaled:.0f}" if abs(scaled) >= 100 else f"{scaled:.3g}"


def table(head: Sequence[str], words: int, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table; the first `words` columns are text, the others numbers."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * words + "---:|" * (len(head) - words)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def against_targets(rows: Iterable[Row]) -> Iterator[str]:
    yield "| what | compared with | its number | catdog | ratio | n | target | reached |"
    yield "|---|---|---:|---:|---:|---|---|---|"
    for row in rows:
        name, theirs = row.against or (NONE, None)
        numbers = f"{name} | {number(theirs)} | {number(row.ours)} | {row.ratio_text or NONE}"
        yield f"| {row.what} | {numbers} | {row.n} | {row.target} | {'yes' if row.reached else '**no**'} |"


def trained(measured: training.Comparison) -> Iterator[str]:
    yield "| what | seconds | validation accuracy | epochs |"
    yield "|---|---:|---:|---|"
    came = "" if measured.reached else f", and {measured.cold.goal:.1%} not reached"
    rows = (
        (f"{OURS}, nothing known", measured.cold, NONE),
        (f"{OURS}, features known", measured.cached, NONE),
        (TUTORIAL, measured.tutorial, f"{len(measured.epochs)} of at most {measured.epochs_limit}{came}"),
    )
    for name, each, epochs in rows:
        yield f"| {name} | {number(each.seconds)} | {each.accuracy:.1%} | {epochs} |"
    yield ""
    yield f"{measured.train_photos:,} photos to train on, {measured.validation_photos:,} to validate with."


def grown(steps: Sequence[growth.Step]) -> Iterator[str]:
    head = ("photos to train on", f"{OURS}, nothing known (s)", f"{TUTORIAL}, one epoch (s)")
    rows = ((f"{each.photos:,}", number(each.ours), number(each.tutorial)) for each in steps)
    yield from table(head, 0, rows)


def retrained(measured: Sequence[retraining.Retraining]) -> Iterator[str]:
    yield (
        "| model | retrain, nothing known (s) | every photo known (s) | 100 photos new (s) | requests a second"
        " | p99 alone, thrice (ms) | beside a training (ms) | across swaps of heads (ms) | of backbones (ms)"
        " | resident (MB) |"
    )
    yield "|---|" + "---:|" * 9
    for each in measured:
        jobs, beside = each.jobs, (each.training, each.swaps.predictions, each.backbone_swaps.predictions)
        cells = [
            *map(number, (jobs.first, jobs.again, jobs.with_new, each.training.requests_a_second)),
            ", ".join(number(one.alone_p99_milliseconds) for one in beside),
            *(number(one.beside_p99_milliseconds) for one in beside),
            number(each.swaps.end_bytes, 1e-6),
        ]
        yield f"| {each.model} | {' | '.join(cells)} |"
    yield ""
    for each in measured:
        yield f"{each.model}, with new photos: {each.jobs.decision}."
