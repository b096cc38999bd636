import subprocess
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.harness.machine import Machine
from benchmarks.harness.processes import ROOT, BenchmarkError, python
from benchmarks.serving import comparison
from benchmarks.trainer import training
from tests.benchmarks.measured import good
from tests.benchmarks.trainer.test_training import measured


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 1, "benchmarks: there is no version 1; the store holds: none"),
        (["training"], 1, "benchmarks: there is no version 1; the store holds: none"),
        (["speed"], 2, "there is no speed; choose from serving, training"),
    ],
)
def test_what_can_not_be_measured_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], status: int, said: str
) -> None:
    command = python("benchmarks", *arguments, "--models", tmp_path)

    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)

    assert done.returncode == status
    assert said in done.stderr.splitlines()[-1]


@pytest.mark.whole
def test_what_was_measured_is_kept_where_the_run_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise BenchmarkError("the disk is full")

    monkeypatch.setattr(comparison, "cases", lambda *_: [])
    monkeypatch.setattr(comparison, "compare", lambda *_: (good(), ()))
    monkeypatch.setattr(training, "PHOTOS", tmp_path)
    monkeypatch.setattr(training, "compare", fail)
    monkeypatch.setattr("sys.argv", ["benchmarks", "--results", str(tmp_path)])
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process continues

    assert main() == 1

    page = tmp_path / f"{Machine.this().slug}.md"
    assert "## Serving" in page.read_text()


def test_a_growth_that_there_is_no_time_for_is_said_to_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "PHOTOS", tmp_path)
    monkeypatch.setattr(training, "compare", lambda *_: measured((0.9,)))
    monkeypatch.setattr("sys.argv", ["benchmarks", "training", "--minutes", "0", "--results", str(tmp_path)])
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process continues

    assert main() == 0

    page = tmp_path / f"{Machine.this().slug}-training.md"
    assert "Growth to 500 photos takes longer than --minutes allow: left out." in page.read_text()
