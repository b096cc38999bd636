import json
import sys
from pathlib import Path

import pytest

from benchmarks import serving, versions
from benchmarks.client import Upload
from benchmarks.machine import Machine
from benchmarks.photos import generated
from benchmarks.processes import ROOT
from benchmarks.results import Results
from benchmarks.serving import OURS, TUTORIAL, Comparison, System
from benchmarks.targets import targets

FAILURES_COLUMN = 7
EVERY_OTHER_FAILS = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answered = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = b'{"probabilities": {"cat": 1.0, "dog": 0.0}}'
        Handler.answered += 1
        self.send_response(200 if Handler.answered % 2 else 500)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def cells(page: str, model: str, system: str) -> list[str]:
    """Those of the system's row in the table of the services."""
    (row,) = (line for line in page.splitlines() if line.startswith(f"| {model} | {system} | "))
    return [cell.strip() for cell in row.split("|")]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """One short round of both systems, as they are, with a tiny network."""
    version = versions.random(1 / 32, tmp_path_factory.mktemp("models"))
    photos = [generated(seed) for seed in range(3)]
    return serving.compare("tiny", version, photos, 1, 1.0, tmp_path_factory.mktemp("run"))


def test_both_systems_answer_without_a_failure_and_agree(comparison: Comparison) -> None:
    for summary in comparison.summaries.values():
        assert summary.answered > 0
        assert summary.failures == 0
    assert comparison.compared >= 1  # a busy machine may not get to all in the time
    assert comparison.difference < 0.02


def test_only_ours_says_when_it_is_ready_and_it_is_so_before_its_first_answer(comparison: Comparison) -> None:
    ours, tutorial = comparison.summaries[OURS], comparison.summaries[TUTORIAL]

    assert tutorial.ready_seconds is None
    assert ours.ready_seconds is not None
    assert 0 < ours.ready_seconds <= ours.first_answer_seconds


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_is_that_of_the_services(comparison: Comparison) -> None:
    for summary in comparison.summaries.values():
        assert summary.resident_bytes is not None
        assert summary.peak_bytes is not None
        assert 20e6 < summary.resident_bytes <= summary.peak_bytes


def test_the_results_hold_a_row_for_each_system_and_nothing_of_this_machine_but_its_processor(
    comparison: Comparison, tmp_path: Path
) -> None:
    page = Results(Machine.this(), ["A note."], [comparison]).write(tmp_path)

    text = page.read_text()
    raw = page.with_suffix(".json").read_text()
    for system in (OURS, TUTORIAL):
        assert cells(text, "tiny", system)[FAILURES_COLUMN] == "0"
    assert "| requests a second, tiny | " in text
    assert f"({page.with_suffix('.png').name})" in text
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads(raw)["serving"][0]["rounds"][OURS]) == 1
    assert str(ROOT) not in text + raw
    assert "answers" not in raw


def test_an_answer_of_500_is_counted_as_a_failure(tmp_path: Path) -> None:
    system = System("failing", [sys.executable, "-c", EVERY_OTHER_FAILS], {})

    measured = serving.measure(system, [Upload.of(generated(0))], 0.3, tmp_path, seed=0)

    load = measured.load
    assert load.failures > 0
    assert abs(load.failures - len(load.latencies_seconds)) <= 1
    comparison = Comparison("any", {OURS: [measured], TUTORIAL: [measured]}, 0.0, 1)
    page = Results(Machine.this(), [], [comparison]).markdown()
    assert cells(page, "any", OURS)[FAILURES_COLUMN] == f"{load.failures:,}"
    assert not any(row.reached for row in targets([comparison], None))
