import sys

import pytest

from benchmarks.faults import database


@pytest.mark.whole
def test_a_database_that_crashes_or_hangs_fails_no_prediction_and_loses_nothing(
    postgresql_url: str,  # skips if no server is installed
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["database", "--away", "20"])  # longer than an answer may take

    status = database.main()

    said = capsys.readouterr().out
    assert status == 0, said
    assert said.count(" 0 failed") == said.count(" 0 lost") == 2
