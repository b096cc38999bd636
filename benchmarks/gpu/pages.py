"""Writes the GPU benchmark's results as Markdown and numbers."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from statistics import median

EXPLAINED = (
    "Of the engine: share of its speed alone with the largest batches; the target is 0.7 with 64 clients. CPU: all"
    " threads of the service. Event loop: share of the time that the service's main thread computes. Together: photos"
    " inferred at once."
)
ALONE, THROUGH_HTTP = "engine alone", "`/"  # prefixes of measurements' names
HEADS = (
    "photos/s",
    "lowest to highest",
    "of the engine",
    "p50 ms",
    "p99 ms",
    "CPU ms a photo",
    "event loop",
    "photos together",
    "failures",
)


@dataclass(frozen=True)
class Sample:
    """One measurement of one round; values that don't apply are None. Latencies are of requests."""

    photos_a_second: float
    p50_seconds: float | None = None
    p99_seconds: float | None = None
    failures: int = 0
    cpu_seconds: float | None = None  # of the service, per photo
    loop_share: float | None = None  # of the time that the service's main thread worked
    together: float | None = None  # photos in one inference, on average


@dataclass
class Measured:
    """One model's samples by measurement, and notes on failures."""

    model: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def middle(self, what: str) -> float:
        """The median of photos per second; KeyError if it wasn't measured."""
        return median(each.photos_a_second for each in self.samples[what])


@dataclass(frozen=True)
class Page:
    """All results of a run; `about` describes the machine and the method."""

    day: date
    where: str
    about: Mapping[str, str]
    measured: Sequence[Measured]

    def write(self, base: Path) -> Path:
        """Write both files, replacing those of an earlier part of the run; returns the Markdown's path."""
        base.parent.mkdir(parents=True, exist_ok=True)
        raw = {"day": str(self.day), "where": self.where, **self.about, "models": [asdict(m) for m in self.measured]}
        base.with_name(f"{base.name}.json").write_text(json.dumps(raw, indent=1) + "\n", "utf-8")
        page = base.with_name(f"{base.name}.md")
        page.write_text("\n".join(self._lines()) + "\n", "utf-8")
        return page

    def _lines(self) -> Iterator[str]:
        yield f"# On {self.where}, {self.day}\n"
        yield "".join(f"{name}: {value}.\n" for name, value in self.about.items())
        yield f"{EXPLAINED}\n"
        for measured in self.measured:
            yield f"## {measured.model}\n"
            yield from table(measured)
            yield ""
            yield from (f"- {line}" for line in measured.notes)
            yield ""


def table(measured: Measured) -> Iterator[str]:
    """Medians over the rounds; failures are summed."""
    yield f"| | {' | '.join(HEADS)} |"
    yield f"|---|{'---:|' * len(HEADS)}"
    for what, samples in measured.samples.items():
        yield f"| {what} | {' | '.join(_cells(samples, _share(what, measured)))} |"


def _share(what: str, measured: Measured) -> float | None:
    """The speed over HTTP as a share of the engine's with the largest batches; None if either is unknown."""
    engine = [measured.middle(name) for name in measured.samples if name.startswith(ALONE)]
    return measured.middle(what) / engine[-1] if engine and what.startswith(THROUGH_HTTP) else None


def _cells(samples: Sequence[Sample], share: float | None) -> Iterator[str]:
    speeds = [each.photos_a_second for each in samples]
    yield from (f"{median(speeds):.0f}", f"{min(speeds):.0f} to {max(speeds):.0f}")
    yield _text(share, "{:.2f}")
    yield _text(_median(samples, lambda each: each.p50_seconds), "{:.1f}", 1000)
    yield _text(_median(samples, lambda each: each.p99_seconds), "{:.1f}", 1000)
    yield _text(_median(samples, lambda each: each.cpu_seconds), "{:.2f}", 1000)
    yield _text(_median(samples, lambda each: each.loop_share), "{:.0%}")
    yield _text(_median(samples, lambda each: each.together), "{:.1f}")
    yield str(sum(each.failures for each in samples))


def _median(samples: Sequence[Sample], of: Callable[[Sample], float | None]) -> float | None:
    known = [value for each in samples if (value := of(each)) is not None]
    return median(known) if known else None


def _text(value: float | None, form: str, times: float = 1) -> str:
    return "" if value is None else form.format(times * value)
