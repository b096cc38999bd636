"""Wrong use of `python -m app` and its doctor ends with a message and an exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.__main__ import main
from tests.app.service import publish
from tests.places import ROOT

SETTINGS = [
    *(("PORT", value) for value in ("x", "-1", "70000", "1.5", "9" * 400)),
    *(("HOST", value) for value in ("nonsense.invalid", "256.1.1.1", "http://127.0.0.1", "[::1]", "a b")),
    *(("ALLOWED_HOSTS", value) for value in ("https://app.example.com", "app.example.com:80", ".example.com")),
    *(("CORS_ORIGINS", value) for value in ("app.example.com", "https://app.example.com/")),
    ("DATA_DIR", "/dev/null"),
    ("DATA_DIR", "/proc/nowhere"),
    ("DATA_DIR", "n" * 5000),
    *(("ADMIN_KEY", value) for value in ("short", "x")),
    ("PREDICT_KEY", "short"),
    *(("DATABASE_URL", value) for value in ("nonsense", "mysql://127.0.0.1/x", "postgresql://[::1/x")),
    *((name, "nonsense") for name in ("ENGINE", "PRECISION", "THREADS", "WORKER", "LOG_FORMAT", "DRAIN_SECONDS")),
    *((name, "0") for name in ("THREADS", "QUEUE_ITEMS", "MAX_UPLOAD_BYTES", "DEADLINE_SECONDS")),
    *((name, "nan") for name in ("DEADLINE_SECONDS", "LEAVE_SECONDS", "QUEUE_ITEMS")),
    ("PROT", "8000"),
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("CATDOG_") or name in ("HOST", "PORT")]:
        monkeypatch.delenv(name)
    publish(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATDOG_PORT", "0")
    return tmp_path


def ended(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[object, str]:
    monkeypatch.setattr(sys, "argv", ["app", *words])
    with pytest.raises(SystemExit) as end:
        main()
    said = "".join(capsys.readouterr())
    for never in ("Traceback", "Value error", 'File "'):
        assert never not in said
    return end.value.code, said


STARTS = [
    ("PORT", "70000"),
    ("HOST", "nonsense.invalid"),
    ("DATA_DIR", "/dev/null"),
    ("ADMIN_KEY", "short"),
    ("DATABASE_URL", "nonsense"),
    ("ENGINE", "nonsense"),
    ("DEADLINE_SECONDS", "nan"),
    ("PROT", "8000"),
]


@pytest.mark.parametrize(("name", "value"), STARTS)
def test_a_service_with_a_wrong_setting_does_not_start_and_says_which(name: str, value: str) -> None:
    """In a separate process, because a start sets signal handlers and the log."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), f"CATDOG_{name}": value}

    done = subprocess.run(
        [sys.executable, "-m", "app"], env=environment, capture_output=True, encoding="utf-8", check=False, timeout=60
    )

    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    last = done.stderr.partition("catdog can't")[2]
    assert name in last or value in last, done.stderr


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: f"{setting[0]}={setting[1][:20]}")
def test_the_doctor_says_which_setting_is_wrong(
    setting: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CATDOG_{setting[0]}", setting[1])

    status, said = ended(capsys, monkeypatch, "doctor")

    assert status in (1, 2) or setting[0] == "HOST", "an address is tried only by a start"
    assert said


@pytest.mark.parametrize("words", [["nonsense"], ["--nonsense"], ["serve", "more"], ["doctor", "--data"]])
def test_words_that_make_no_sense_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, said = ended(capsys, monkeypatch, *words)

    assert status == 2
    assert said.startswith("usage: ")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"CATDOG_PORT=x", b"CATDOG_NONSENSE=1"])
def test_a_file_of_settings_that_is_wrong_is_named(
    place: Path, content: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CATDOG_PORT")
    (place / ".env").write_bytes(content)

    status, said = ended(capsys, monkeypatch, "doctor")

    assert status == 2
    assert ".env" in said or "CATDOG_" in said


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("champion", b"nonsense"),
        ("champion", b"9"),
        ("1/manifest.json", b"{}"),
        ("1/manifest.json", b"\xff"),
        ("1/model.weights.h5", b"no weights"),
        ("1/model.weights.h5", b""),
    ],
)
def test_the_doctor_says_what_is_wrong_with_the_store(
    place: Path, file: str, content: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "models" / file).write_bytes(content)

    status, said = ended(capsys, monkeypatch, "doctor")

    assert status == 1
    assert "FAILED: " in said
