"""The tables of what a request costs, and of where slow requests wait."""

import json

import numpy as np
import pytest

from benchmarks.serving import request_cost, tail
from benchmarks.serving.tail import Round


def test_a_part_costs_what_the_service_without_it_costs_less_in_the_same_rounds() -> None:
    rows = request_cost.table({"whole": [1.0, 2.0, 1.1], "without": [0.9, 1.9, 1.0]})

    assert rows[-2:] == ["| whole | 1.100 |  |", "| without | 1.000 | 0.100 (0.100 to 0.100) |"]


def line(route: str, seconds: float, **of_phases: float) -> str:
    named = {f"{name}_seconds": value for name, value in of_phases.items()}
    return json.dumps({"message": "", "route": route, "seconds": seconds, **named})


def test_what_is_in_no_phase_of_a_request_is_the_rest() -> None:
    log = [
        line("/predict", 0.010, read=0.001, queue=0.002, decode=0.003, infer=0.003),
        line("/health/live", 1.0),
        line("/predict", 0.002, read=0.001),
    ]

    assert tail.phases(log) == pytest.approx(np.array([[1, 2, 3, 3, 1], [1, 0, 0, 0, 1]]))
    assert tail.phases([]).shape == (0, 5)


def test_the_slowest_requests_have_their_own_means() -> None:
    phases = np.full((100, 5), 1.0)
    phases[7] = 20.0
    one = Round(unloaded=4.0, capacity=100.0, latencies=[5.0] * 100, phases=phases, failures=1)

    *_, row, _, last = tail.table({"as it is": [one, one]})

    assert row == f"| as it is | 4.0 | 100 | 5.0 | 1.25 |{' 1.2, 20.0 |' * 5}"
    assert last.endswith("2 failed")
