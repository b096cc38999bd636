import json
import sys
from pathlib import Path

import pytest

from benchmarks.harness import versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import Upload, generated
from benchmarks.harness.processes import ROOT, BenchmarkError, python
from benchmarks.report.results import Results
from benchmarks.serving import comparison, rounds, systems
from benchmarks.serving.comparison import Case, Comparison, Plan
from benchmarks.serving.limits import Graph, Overhead, can_pin
from benchmarks.serving.rounds import CLIENTS, MANY, MANY_TIMES
from benchmarks.serving.systems import OURS, TUTORIAL, System
from tests.benchmarks import services
from tests.benchmarks.measured import good

pytestmark = pytest.mark.whole

ENDS = [sys.executable, "-c", "raise SystemExit('no such module')"]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    uploads = [Upload.of(generated(seed)) for seed in range(4)]
    return Plan(uploads, 1, 0.2, tmp_path_factory.mktemp("benchmarks"), Path(sys.executable))


@pytest.fixture(scope="module")
def found(plan: Plan) -> tuple[list[Comparison], list[Overhead]]:
    """The comparison of a tiny network, served by ours, the tutorial's way, and a system that doesn't start."""
    version = versions.random(1 / 32, plan.folder / "models")
    tutorial = System(TUTORIAL, python("benchmarks.peers.tutorial.service", version.path))
    ours = systems.ours(version, plan.interpreter, {"CATDOG_DATA_DIR": str(plan.folder / "data")})
    graph = Graph.of(version, plan.folder)
    made = [tutorial, System("ending", ENDS), ours]
    return comparison.compare([Case("slim", "tiny", version, graph, made, {"absent": "no such package"})], plan)


def test_all_systems_serve_the_same_weights_and_answer_alike(found: tuple[list[Comparison], list[Overhead]]) -> None:
    ((comparison,), _) = found

    for summary in comparison.summaries.values():
        assert summary.answered > sum(CLIENTS)
        assert summary.failures == 0
        assert list(summary.requests_a_second) == list(CLIENTS)
        assert summary.open is not None
    difference, photos = comparison.difference(TUTORIAL)
    assert difference < 0.02
    assert photos >= 1  # a busy machine may not reach all in time


def test_one_that_does_not_start_or_has_no_environment_is_said_and_the_rest_goes_on(
    found: tuple[list[Comparison], list[Overhead]],
) -> None:
    ((comparison,), _) = found

    assert list(comparison.summaries) == [TUTORIAL, OURS]
    assert comparison.missing["absent"] == "no such package"
    assert "no such module" in comparison.missing["ending"]


def test_only_ours_says_when_it_is_ready_and_it_is_so_before_its_first_answer(
    found: tuple[list[Comparison], list[Overhead]],
) -> None:
    ((comparison,), _) = found
    ours, tutorial = comparison.summaries[OURS], comparison.summaries[TUTORIAL]

    assert tutorial.ready_seconds is None
    assert ours.ready_seconds is not None
    assert 0 < ours.ready_seconds <= ours.first_answer_seconds


def test_where_systems_are_compared_they_are_asked_for_longer(
    plan: Plan, found: tuple[list[Comparison], list[Overhead]]
) -> None:
    ((comparison,), _) = found
    (measured,) = comparison.rounds[OURS]

    assert measured.loads[MANY].seconds >= MANY_TIMES * plan.seconds


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_and_time_are_those_of_the_services(found: tuple[list[Comparison], list[Overhead]]) -> None:
    ((comparison,), _) = found

    for summary in comparison.summaries.values():
        assert summary.resident_bytes is not None
        assert summary.peak_bytes is not None
        assert 20e6 < summary.resident_bytes <= summary.peak_bytes
        assert summary.cpu_seconds is not None
        assert 0 < summary.cpu_seconds < 1


def test_what_can_not_be_passed_is_measured_beside(found: tuple[list[Comparison], list[Overhead]]) -> None:
    ((comparison,), overheads) = found
    (limit,) = comparison.limits

    assert limit.inference == max(limit.benchmark_app["latency"], limit.benchmark_app["throughput"]) > 0
    assert 0 < limit.both < min(limit.decoding, limit.inference)
    assert len(overheads) == can_pin()
    for each in overheads:
        assert each.answered > 0
        assert each.failures == 0
        assert 0 < each.wall_seconds < 1


def test_ours_must_start(plan: Plan) -> None:
    version = versions.random(1 / 32, plan.folder / "not-started")
    case = Case("slim", "tiny", version, Graph.of(version, plan.folder), [System(OURS, ENDS)])

    with pytest.raises(BenchmarkError, match=r"(?s)a service ended .*no such module"):
        comparison.compare([case], plan)


def test_the_results_hold_a_row_for_each_system_and_nothing_of_this_machine_but_its_processor(
    found: tuple[list[Comparison], list[Overhead]], tmp_path: Path
) -> None:
    comparisons, overheads = found

    page = Results(Machine.this(), ["A note."], comparisons, overheads).write(tmp_path, ["serving"])

    assert page.name == f"{Machine.this().slug}-serving.md"
    text, raw = page.read_text(), page.with_suffix(".json").read_text()
    for system in (OURS, TUTORIAL):
        assert text.count(f"| tiny | {system} | ") == 3
    assert "**absent could not be measured with tiny: no such package**" in text
    assert "**ending could not be measured with tiny: a service ended after" in text
    assert f"({page.with_suffix('.png').name})" in text
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads(raw)["serving"][0]
    assert len(kept["rounds"][OURS]) == 1
    assert kept["summaries"][OURS]["latencies"]["1"]["p50_seconds"] > 0
    assert str(ROOT) not in text + raw
    assert str(tmp_path.parent) not in text + raw
    assert '"answers"' not in raw


def test_a_page_says_how_far_answers_lie_apart_and_of_how_many_photos() -> None:
    page = Results(Machine.this(), [], good()).markdown()

    assert "full width: tutorial's way 0.0000 (2 photos), LitServe 0.0000 (2 photos), BentoML 0.1500 (2 photos)" in page


def test_failures_are_counted_on_the_page(plan: Plan) -> None:
    failing = System(TUTORIAL, services.command(services.EVERY_OTHER_FAILS))

    measured = rounds.measure(failing, plan.uploads, CLIENTS, 0.1, plan.folder, seed=0)

    assert measured.loads[MANY].failures > 0
    assert measured.open is not None
    assert measured.open.failures > 0
    comparison = good()[1]
    comparison.rounds[TUTORIAL][:] = [measured]
    page = Results(Machine.this(), [], [comparison]).markdown()
    assert f"| {measured.answered:,} | {measured.failures:,} |" in page
