"""The benchmark that kills `catdog classify`."""

import sys

import pytest

from benchmarks.faults import classify_kills
from benchmarks.faults.classify_kills import problems


@pytest.mark.whole
def test_a_killed_classification_loses_and_doubles_no_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["classify_kills", "--kills", "2", "--photos", "300"])

    assert classify_kills.main() == 0

    said = capsys.readouterr().out
    assert "\n2 kills of 300 photos, " in said
    assert "each photo has one row, with the answer of the service" in said


def test_lost_doubled_and_other_rows_and_leftovers_are_found() -> None:
    expected = {"1.jpg": [0.1], "2.jpg": [0.2], "3.jpg": [0.3]}
    found = {"1.jpg": [0.1, 0.1], "2.jpg": [0.9]}

    assert problems(expected, expected, []) == []
    assert problems(found, expected, [".result.parquet.new"]) == [
        "1 lost: 3.jpg",
        "1 doubled: 1.jpg",
        "1 with another answer: 2.jpg",
        "1 left over: .result.parquet.new",
    ]
