import sys

import pytest

from benchmarks.faults import kills


@pytest.mark.whole
def test_a_killed_service_loses_nothing_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kills", "--kills", "2"])

    assert kills.main() == 0

    said = capsys.readouterr().out
    assert "2 kills; acknowledged: " in said
    assert "nothing acknowledged was lost, nothing removed came back, no file was left" in said
