"""The benchmark of a trial: the row that it prints."""

import pytest

from benchmarks.experiments import shadow
from benchmarks.experiments.shadow import Round


def test_a_row_has_the_percentiles_of_all_requests_and_the_interval_of_their_ratio() -> None:
    alone = Round(seconds=[0.01] * 99 + [0.05], failures=0, compared=0)
    beside = Round(seconds=[0.011] * 99 + [0.055], failures=1, compared=7)

    cells = shadow.line("a head", [(alone, beside)] * 3).strip("| ").split(" | ")

    name, *p50, p99_alone, p99_beside, ratio, compared, requests, failed = cells
    assert (name, p50) == ("a head", ["10.0", "11.0", "1.10 (1.10 to 1.10)"])
    assert float(p99_beside) == pytest.approx(1.1 * float(p99_alone), rel=0.01)
    assert ratio.startswith("1.10 (")
    assert (compared, requests, failed) == ("21", "600", "3")
