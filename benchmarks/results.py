"""One run's results: the numbers as JSON, and beside them what they say as Markdown and a plot."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import plot, retraining, serving, training
from benchmarks.machine import Machine
from benchmarks.serving import OURS, TUTORIAL, Summary
from benchmarks.targets import targets

NONE = "–"


@dataclass(frozen=True)
class Results:
    """What one run measured; a part that was left out is empty. `notes` say how, a sentence each."""

    machine: Machine
    notes: Sequence[str]
    served: Sequence[serving.Comparison] = ()
    trained: training.Comparison | None = None
    retrained: Sequence[retraining.Retraining] = ()

    def write(self, folder: Path) -> Path:
        """Write everything below `folder`, named by day and processor; returns the Markdown file."""
        folder.mkdir(parents=True, exist_ok=True)
        base = folder / self.machine.slug
        plotted = base.with_name(f"{base.name}.png") if self.served else None
        if plotted:
            plot.requests_a_second(self.served, self.machine.where).savefig(plotted, dpi=120)
        base.with_name(f"{base.name}.json").write_text(json.dumps(self._raw(), indent=1) + "\n", "utf-8")
        page = base.with_name(f"{base.name}.md")
        page.write_text(self.markdown(plotted.name if plotted else None), "utf-8")
        return page

    def markdown(self, plotted: str | None = None) -> str:
        """The page; `plotted` is the file of the plot beside it."""
        lines = [f"# Benchmark on {self.machine.where}", "", f"{self.machine.libraries}.", *self.notes]
        lines += ["", "## Against the targets", "", *self._targets()]
        if self.served:
            lines += ["", "## Serving", "", *self._serving()]
        if plotted:
            lines += ["", f"![Requests a second]({plotted})"]
        if self.trained:
            lines += ["", "## Training", "", *_training(self.trained)]
        if self.retrained:
            lines += ["", "## Retraining", "", *_retraining(self.retrained)]
        return "\n".join(lines) + "\n"

    def _targets(self) -> Iterator[str]:
        yield f"| what | {TUTORIAL} | {OURS} | ratio | n | target | reached |"
        yield "|---|---:|---:|---:|---|---|---|"
        for row in targets(self.served, self.trained, self.retrained):
            numbers = f"{_number(row.tutorial)} | {_number(row.ours)} | {row.ratio_text or NONE}"
            yield f"| {row.what} | {numbers} | {row.n} | {row.target} | {'yes' if row.reached else '**no**'} |"

    def _serving(self) -> Iterator[str]:
        yield (
            "| model | system | requests a second | p50 (ms) | p99 (ms) | answered | failures | ready (s)"
            " | first answer (s) | resident (MB) | peak (MB) |"
        )
        yield "|---|---|" + "---:|" * 9
        for comparison in self.served:
            for name, summary in comparison.summaries.items():
                yield f"| {comparison.model} | {name} | {' | '.join(_cells(summary))} |"
        yield ""
        for comparison in self.served:
            yield (
                f"Largest difference between the two systems' probabilities, {comparison.model}:"
                f" {comparison.difference:.4f}, over {comparison.compared} photos."
            )

    def _raw(self) -> dict[str, Any]:
        return {
            "machine": {**asdict(self.machine), "day": str(self.machine.day)},
            "notes": list(self.notes),
            "serving": [_raw_serving(comparison) for comparison in self.served],
            "training": asdict(self.trained) if self.trained else None,
            "retraining": [asdict(each) for each in self.retrained],
        }


def _cells(summary: Summary) -> list[str]:
    return [
        _number(summary.requests_a_second),
        _number(summary.p50_seconds, 1e3),
        _number(summary.p99_seconds, 1e3),
        f"{summary.answered:,}",
        f"{summary.failures:,}",
        _number(summary.ready_seconds),
        _number(summary.first_answer_seconds),
        _number(summary.resident_bytes, 1e-6),
        _number(summary.peak_bytes, 1e-6),
    ]


def _training(measured: training.Comparison) -> Iterator[str]:
    yield "| what | seconds | validation accuracy | epochs |"
    yield "|---|---:|---:|---|"
    came = "" if measured.reached else f", and {measured.cold.goal:.1%} not reached"
    rows = (
        (f"{OURS}, nothing known", measured.cold, NONE),
        (f"{OURS}, features known", measured.cached, NONE),
        (TUTORIAL, measured.tutorial, f"{len(measured.epochs)} of at most {measured.epochs_limit}{came}"),
    )
    for name, each, epochs in rows:
        yield f"| {name} | {_number(each.seconds)} | {each.accuracy:.1%} | {epochs} |"
    yield ""
    yield f"{measured.train_photos:,} photos to train on, {measured.validation_photos:,} to validate with."


def _retraining(measured: Sequence[retraining.Retraining]) -> Iterator[str]:
    yield (
        "| model | retrain, nothing known (s) | every photo known (s) | 100 photos new (s) | requests a second"
        " | p99 alone, thrice (ms) | beside a training (ms) | across swaps of heads (ms) | of backbones (ms)"
        " | resident (MB) |"
    )
    yield "|---|" + "---:|" * 9
    for each in measured:
        jobs, beside = each.jobs, (each.training, each.swaps.predictions, each.backbone_swaps.predictions)
        cells = [
            *map(_number, (jobs.first, jobs.again, jobs.with_new, each.training.requests_a_second)),
            ", ".join(_number(one.alone_p99_milliseconds) for one in beside),
            *(_number(one.beside_p99_milliseconds) for one in beside),
            _number(each.swaps.end_bytes, 1e-6),
        ]
        yield f"| {each.model} | {' | '.join(cells)} |"
    yield ""
    for each in measured:
        yield f"{each.model}, with new photos: {each.jobs.decision}."


def _raw_serving(comparison: serving.Comparison) -> dict[str, Any]:
    """Everything but the answers, which belong to photos that aren't ours."""
    raw = asdict(comparison)
    for rounds in raw["rounds"].values():
        for each in rounds:
            del each["load"]["answers"]
    return raw


def _number(value: float | None, unit: float = 1.0) -> str:
    """In three digits, more than a run is worth; `unit` turns the value's unit into the table's."""
    if value is None:
        return NONE
    scaled = value * unit
    return f"{scaled:.0f}" if abs(scaled) >= 100 else f"{scaled:.3g}"
