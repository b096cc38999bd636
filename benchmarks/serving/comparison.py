"""Compares the service with its alternatives and with upper limits, with the same weights."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from benchmarks.harness import versions
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import BenchmarkError, running
from benchmarks.harness.versions import Model
from benchmarks.serving import limits, systems
from benchmarks.serving.limits import WITHOUT_AMX, Alone, Graph, Limit, Overhead
from benchmarks.serving.rounds import CLIENTS, MANY, MANY_TIMES, Round, Summary, measure, start
from benchmarks.serving.systems import OURS, PEERS, System
from catdog.engines.engine import Precision
from catdog.versions.measurements import Metrics
from catdog.versions.version import Version

STUB_WIDTH = 1 / 32  # width of the network for measuring the service without inference

Kind = Literal["slim", "full width", "without AMX"]


@dataclass(frozen=True)
class Case:
    """One version and the systems that serve it; `settings` are environment variables of the limits' measurements."""

    kind: Kind
    model: str
    version: Version
    graph: Graph
    systems: Sequence[System]  # ours is the last
    missing: Mapping[str, str] = field(default_factory=dict)  # systems without an environment, and why
    settings: Mapping[str, str] = field(default_factory=dict)
    clients: Sequence[int] = CLIENTS
    is_shipped: bool = False


@dataclass(frozen=True)
class Comparison:
    """The results of a case; `missing` has the systems that couldn't be measured, and why."""

    kind: Kind
    model: str
    precision: Precision
    first_start_seconds: float | None = None  # of ours, to its first answer, with nothing compiled yet
    rounds: dict[str, list[Round]] = field(default_factory=dict)  # by the name of the system
    missing: dict[str, str] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    is_shipped: bool = False
    multiply_adds: int | None = None  # of one photo
    tested: Metrics | None = None  # on the version's test photos

    @property
    def summaries(self) -> dict[str, Summary]:
        return {name: Summary.of(rounds) for name, rounds in self.rounds.items() if rounds}

    def difference(self, name: str) -> tuple[float, int]:
        """The largest difference between our probability and the system's, and the number of photos compared."""
        ours, theirs = (_answers(self.rounds[each]) for each in (OURS, name))
        both = ours.keys() & theirs.keys()
        apart = (abs(ours[place][label] - theirs[place][label]) for place in both for label in ours[place])
        return max(apart, default=0.0), len(both)


@dataclass(frozen=True)
class Plan:
    """The durations and folders of a comparison."""

    uploads: Sequence[Upload]
    rounds: int
    seconds: float
    folder: Path
    interpreter: Path  # of our service's environment


def cases(slim: Model, full: Model, has_amx: bool, plan: Plan) -> list[Case]:
    found = [_case("slim", slim, PEERS, plan), _case("full width", full, PEERS, plan)]
    return [*found, _without_amx(found[1], plan)] if has_amx else found


def _case(kind: Kind, model: Model, names: Iterable[str], plan: Plan) -> Case:
    made, missing, version = [], {}, model.version
    for name in names:
        try:
            made.append(systems.peer(name, version, plan.folder))
        except BenchmarkError as error:
            missing[name] = str(error)
    settings = {"CATDOG_DATA_DIR": str(plan.folder / f"data-{kind}")}
    made.append(systems.ours(version, plan.interpreter, settings))
    graph = Graph.of(version, plan.folder)
    return Case(kind, model.name, version, graph, made, missing, is_shipped=True)


def _without_amx(full: Case, plan: Plan) -> Case:
    """The case for a processor without AMX, in the precision used there: bfloat16 would be slower than float32."""
    precision: Precision = "int8" if full.graph.precision == "int8" else "f32"
    graph = Graph.of(full.version, plan.folder, precision)
    settings = {"CATDOG_DATA_DIR": str(plan.folder / "data-without-amx"), "CATDOG_PRECISION": precision, **WITHOUT_AMX}
    system = systems.ours(full.version, plan.interpreter, settings)
    return Case(
        "without AMX", f"{full.model}, without AMX and AVX-512", full.version, graph, [system], {}, WITHOUT_AMX, (MANY,)
    )


def compare(cases: Sequence[Case], plan: Plan) -> tuple[list[Comparison], list[Overhead]]:
    """Interleaved rounds, alternately in reverse order. All systems get the same photos in the same order."""
    found = [_started(case, plan) for case in cases]
    overheads: list[Overhead] = []
    steps = [step for case, comparison in zip(cases, found, strict=True) for step in _steps(case, comparison, plan)]
    if limits.can_pin():
        version = versions.random(STUB_WIDTH, plan.folder / "stub")
        steps.append(partial(_overhead, version, overheads, plan))
    for number in range(plan.rounds):
        for step in steps[:: -1 if number % 2 else 1]:
            step(number)
    return found, overheads


def _started(case: Case, plan: Plan) -> Comparison:
    """Start our service once, so that the rounds find its compiled network, like any later start."""
    system = case.systems[-1]
    with running(system.command, system.settings, plan.folder) as process:
        _, first = start(system, process, plan.uploads[0])
    manifest = case.version.manifest
    found = Comparison(
        case.kind,
        case.model,
        case.graph.precision,
        first,
        is_shipped=case.is_shipped,
        multiply_adds=manifest.architecture.multiply_adds,
        tested=manifest.metrics.get("test"),
    )
    found.missing.update(case.missing)
    return found


def _steps(case: Case, comparison: Comparison, plan: Plan) -> Iterator[Callable[[int], None]]:
    for system in case.systems:
        comparison.rounds[system.name] = []
        yield partial(_serve, case, comparison, system, plan)
    yield partial(_limit, case, comparison, plan)


def _serve(case: Case, comparison: Comparison, system: System, plan: Plan, number: int) -> None:
    if system.name in comparison.missing:
        return
    try:
        measured = measure(system, plan.uploads, case.clients, plan.seconds, plan.folder, seed=number)
    except BenchmarkError as error:
        if system.name == OURS:
            raise
        comparison.missing[system.name] = str(error)
        return
    comparison.rounds[system.name].append(measured)
    speed = measured.loads[MANY].requests_a_second
    print(f"round {number + 1}/{plan.rounds}: {case.model}, {system.name}: {speed:.1f} requests a second", flush=True)


def _limit(case: Case, comparison: Comparison, plan: Plan, number: int) -> None:
    seconds = plan.seconds * MANY_TIMES  # as long as the service that is compared with it
    found = Alone(plan.interpreter, seconds, plan.folder, case.settings).limit(case.graph)
    comparison.limits.append(found)
    print(f"round {number + 1}/{plan.rounds}: {case.model}, benchmark_app: {found.inference:.1f} a second", flush=True)


def _overhead(version: Version, overheads: list[Overhead], plan: Plan, number: int) -> None:
    found = limits.overhead(version, plan.interpreter, plan.uploads, plan.seconds, plan.folder)
    overheads.append(found)
    print(f"round {number + 1}/{plan.rounds}: {1e3 * found.wall_seconds:.2f} ms a request without both", flush=True)


def _answers(rounds: Iterable[Round]) -> dict[int, Mapping[str, float]]:
    """Probabilities by class, by the photo's index."""
    found: dict[int, Mapping[str, float]] = {}
    for each in rounds:
        for load in each.loads.values():
            found |= {place: _probabilities(json.loads(answer)) for place, answer in load.answers.items()}
    return found


def _probabilities(answer: Any) -> Mapping[str, float]:
    """The probabilities in an answer; BentoML returns a list, because it accepts one."""
    one = answer[0] if isinstance(answer, list) else answer
    found: Mapping[str, float] = one["probabilities"]
    return found
