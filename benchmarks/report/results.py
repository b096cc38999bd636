"""Writes one run's results as JSON, Markdown and a plot."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from benchmarks.harness.machine import Machine
from benchmarks.report import pages, plot
from benchmarks.report.serving_pages import served
from benchmarks.report.targets import targets
from benchmarks.serving import comparison
from benchmarks.serving.limits import Overhead
from benchmarks.serving.rounds import Latency, Round
from benchmarks.trainer import growth, retraining, training

DEFAULT = ("serving", "training")  # parts of the usual run; retraining takes as long as training


@dataclass(frozen=True)
class Results:
    """The results of one run; skipped parts are empty. `notes` are sentences on the method."""

    machine: Machine
    notes: Sequence[str]
    served: Sequence[comparison.Comparison] = ()
    overheads: Sequence[Overhead] = ()
    trained: training.Comparison | None = None
    grown: Sequence[growth.Step] = ()
    retrained: Sequence[retraining.Retraining] = ()

    def noted(self, note: str) -> Self:
        return replace(self, notes=[*self.notes, note])

    def write(self, folder: Path, parts: Sequence[str]) -> Path:
        """Write all files below `folder`, named by day, processor and parts; returns the Markdown file.

        `parts` are the parts of the run: a run of few parts doesn't replace the files of one with more.
        """
        folder.mkdir(parents=True, exist_ok=True)
        base = folder / "-".join([self.machine.slug, *(() if tuple(parts) == DEFAULT else parts)])
        plotted = base.with_name(f"{base.name}.png") if self.served else None
        if plotted:
            plot.requests_a_second(self.served, self.machine.where).savefig(plotted, dpi=120)
        base.with_name(f"{base.name}.json").write_text(json.dumps(self._raw(), indent=1) + "\n", "utf-8")
        page = base.with_name(f"{base.name}.md")
        page.write_text(self.markdown(plotted.name if plotted else None), "utf-8")
        return page

    def markdown(self, plotted: str | None = None) -> str:
        """The page; `plotted` is the name of the plot's file."""
        lines = [f"# Benchmark on {self.machine.where}", "", f"{self.machine.libraries}.", *self.notes]
        rows = targets(self.served, self.overheads, self.trained, self.retrained)
        lines += ["", "## Against the targets", "", *pages.against_targets(rows)]
        if self.served:
            lines += ["", "## Serving", "", *served(self.served, self.overheads)]
        if plotted:
            lines += ["", f"![Requests a second]({plotted})"]
        if self.trained:
            lines += ["", "## Training", "", *pages.trained(self.trained)]
        if self.grown:
            lines += ["", *pages.grown(self.grown)]
        if self.retrained:
            lines += ["", "## Retraining", "", *pages.retrained(self.retrained)]
        return "\n".join(lines) + "\n"

    def _raw(self) -> dict[str, Any]:
        return {
            "machine": {**asdict(self.machine), "day": str(self.machine.day)},
            "notes": list(self.notes),
            "serving": [_raw_serving(comparison) for comparison in self.served],
            "overhead": [asdict(each) for each in self.overheads],
            "training": asdict(self.trained) if self.trained else None,
            "growth": [asdict(each) for each in self.grown],
            "retraining": [asdict(each) for each in self.retrained],
        }


def _raw_serving(comparison: comparison.Comparison) -> dict[str, Any]:
    """All fields except single latencies and the answers, which belong to photos that aren't ours."""
    return {
        "kind": comparison.kind,
        "model": comparison.model,
        "is_shipped": comparison.is_shipped,
        "multiply_adds": comparison.multiply_adds,
        "tested": comparison.tested and comparison.tested.model_dump(),
        "precision": comparison.precision,
        "first_start_seconds": comparison.first_start_seconds,
        "summaries": {name: asdict(summary) for name, summary in comparison.summaries.items()},
        "rounds": {name: list(map(_raw_round, rounds)) for name, rounds in comparison.rounds.items()},
        "missing": comparison.missing,
        "limits": [asdict(limit) for limit in comparison.limits],
        "differences": {name: comparison.difference(name) for name in comparison.summaries},
    }


def _raw_round(measured: Round) -> dict[str, Any]:
    loads = {}
    for clients, load in measured.loads.items():
        kept = ("seconds", "answered", "failures", "requests_a_second", "client_cpu_seconds")
        loads[clients] = {name: getattr(load, name) for name in kept} | _raw_latency(load.latencies_seconds)
    opened = measured.open and {
        "requests_a_second": measured.open.requests_a_second,
        "answered": len(measured.open.latencies_seconds),
        "failures": measured.open.failures,
    } | _raw_latency(measured.open.latencies_seconds)
    rest = ("ready_seconds", "first_answer_seconds", "cpu_seconds", "resident_bytes", "peak_bytes")
    return {"loads": loads, "open": opened} | {name: getattr(measured, name) for name in rest}


def _raw_latency(seconds: Sequence[float]) -> dict[str, float | None]:
    return asdict(Latency.of([seconds]))
