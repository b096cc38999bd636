import sys

import pytest

from benchmarks.faults import storage


@pytest.mark.whole
def test_publishers_race_replicas_follow_and_an_object_store_that_hangs_fails_no_prediction(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*storage.ACCESS, "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "")  # and as before afterwards
    given = ["--publishers", "8", "--replicas", "3", "--promotions", "10", "--late", "60", "--away", "8"]
    monkeypatch.setattr(sys, "argv", ["storage", *given])

    status = storage.main()

    said = capsys.readouterr().out
    assert status == 0, said
    assert "8 publishers at once: 8 numbers" in said
    assert "an acknowledged promotion was lost" not in said
