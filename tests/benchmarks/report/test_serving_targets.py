from collections.abc import Callable

import pytest

from benchmarks.report.serving_pages import served
from benchmarks.report.serving_targets import Row, rows
from benchmarks.serving.comparison import Comparison, Kind
from benchmarks.serving.limits import Overhead
from benchmarks.serving.systems import OURS, TUTORIAL
from tests.benchmarks.measured import comparison, good, measured

QUICK = [Overhead(100, 0, 0.9e-3, 0.54e-3)]


def missed(found: list[Comparison], overheads: list[Overhead] = QUICK) -> list[Row]:
    return [row for row in rows(found, overheads) if not row.reached]


def test_all_are_reached_where_every_number_is_good_enough() -> None:
    assert len(list(rows(good(), QUICK))) == 16
    assert missed(good()) == []


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda full: full[TUTORIAL].append(measured(speed=40)) or full[TUTORIAL].pop(0), "requests a second, 8"),
        (lambda full: full["Ray Serve"].append(measured(speed=80)), "requests a second, 8"),
        (lambda full: full[OURS].append(measured(speed=97, p50=0.03)), "p50 of a single client"),
        (lambda full: full[OURS].append(measured(speed=97, first=2)), "from the start to the first answer"),
        (lambda full: full[OURS].append(measured(speed=97, resident=300e6)), "resident memory"),
        (lambda full: full[OURS].append(measured(speed=97, p99=0.05)), "p99 at 70% of capacity"),
    ],
)
def test_a_number_that_misses_is_a_no(spoil: Callable[[dict[str, list[object]]], None], what: str) -> None:
    found = good()
    spoil(found[1].rounds)  # type: ignore[arg-type]

    assert any(row.what.startswith(what) for row in missed(found))


@pytest.mark.parametrize(
    ("spoil", "against"),
    [
        (lambda found: found[0].rounds["LitServe"].append(measured(speed=400)), "LitServe"),
        (lambda found: found[1].rounds[TUTORIAL].append(measured(speed=80)), "tutorial's way at full width"),
    ],
)
def test_the_slim_version_is_compared_with_the_tutorial_at_full_width_and_with_others_that_serve_it_too(
    spoil: Callable[[list[Comparison]], None], against: str
) -> None:
    found = good()
    spoil(found)

    slim = [row.against[0] for row in missed(found) if row.against and row.what.endswith("slim")]

    assert slim == [against]


def test_a_page_shows_what_each_shipped_version_gains_and_costs() -> None:
    page = "\n".join(served(good(), []))

    assert "| slim | 98.5% of 1,000 test photos | 0.97 G | 1150 | 10 | 170 |" in page
    assert page.count("98.5% of 1,000 test photos") == 2


def test_a_service_that_failed_to_answer_once_reached_no_target() -> None:
    found = good()
    for each in found:
        each.rounds[OURS].append(measured(speed=1000, failures=1))

    assert missed(found, []) == list(rows(found, []))


def test_the_best_of_those_that_form_batches_is_compared_with() -> None:
    _, batching, *_ = rows(good()[1:2], [])

    assert batching.against == ("BentoML", 24)
    assert batching.ratio_text == "4.0x"


def test_without_amx_that_run_is_held_against_benchmark_app_and_else_the_one_at_full_width() -> None:
    with_amx, without = good()[1:], [comparison("full width", {OURS: measured(speed=50)})]

    assert [row.ours for row in rows(with_amx, []) if row.against == ("benchmark_app", 100)] == [96]
    assert [row.reached for row in rows(without, []) if row.against == ("benchmark_app", 100)] == [False]


@pytest.mark.parametrize(
    ("place", "start", "targets"),
    [
        (0, "from the start to the first answer (s)", {"at most 0.5 s", "under 180 MB"}),
        (1, "ready after the start (s)", {"at most 4 s", "under 400 MB"}),
    ],
    ids=["slim", "full width"],
)
def test_the_start_and_the_memory_of_a_shipped_version_have_targets_of_their_own(
    place: int, start: str, targets: set[str]
) -> None:
    kinds: tuple[Kind, Kind] = ("slim", "full width")
    found = [comparison(kind, {OURS: measured(speed=1)}, is_shipped=kind == kinds[place]) for kind in kinds]

    alone = [row for row in rows(found, []) if row.target in targets]

    assert [row.what for row in alone] == [f"{start}, {kinds[place]}", f"resident memory (MB), {kinds[place]}"]


def test_what_decoding_and_inference_allow_together_is_the_limit_of_the_slim_model() -> None:
    found = [comparison("slim", {OURS: measured(speed=160)}, inference=500, decoding=300)]
    (row,) = (row for row in rows(found, []) if row.ratio is not None)

    assert row.against is not None
    assert row.against[1] == pytest.approx(187.5)
    assert row.ratio_text == "0.85x"
    assert row.reached


def test_peers_that_could_not_be_measured_are_no_success() -> None:
    found = [comparison("full width", {OURS: measured(speed=1000)}, inference=100)]

    assert [row.against and row.against[1] for row in missed(found, [])] == [None] * 5


def test_a_slow_service_or_a_failure_without_decoding_and_inference_is_a_no() -> None:
    for overhead in (Overhead(100, 0, 0, 0.6e-3), Overhead(100, 1, 0, 0.5e-3)):
        assert len(missed([], [overhead])) == 1
