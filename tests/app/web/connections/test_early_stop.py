"""Signals during the start, before the server handles them, and what connections see of the shutdown."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.app.api.test_queue import read_answer
from tests.app.process import begin_upload, running, start
from tests.app.web.connections.test_connections import LIVE, OK, rest
from tests.waiting import PATIENCE_SECONDS, until

# Each is imported at a different time of the start.
MOMENTS = [
    "argparse",
    "app.processes.assembly",
    "pydantic_settings",
    "app.web.connections",
    "openvino",
    "starlette",
    "app.main",
    "uvicorn",
]


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_start_that_is_stopped_ends_with_status_0_and_says_nothing(
    models_dir: Path, moment: str, with_signal: signal.Signals
) -> None:
    popen = start(models_dir, PYTHONPROFILEIMPORTTIME="1", CATDOG_PORT="0", CATDOG_MODELS_DIR=str(models_dir))
    assert popen.stderr is not None
    try:
        seen = _lines_until(popen.stderr.fileno(), f" {moment}\n")
        popen.send_signal(with_signal)
        said = seen + popen.communicate(timeout=PATIENCE_SECONDS)[1]
    finally:
        popen.kill()

    assert popen.returncode == 0
    assert [line for line in said.splitlines()[:-1] if not line.startswith("import time:")] == []


def _lines_until(file: int, end: str) -> str:
    """Lines up to the first one that ends with this text."""
    seen = ""
    while end not in seen:
        read = os.read(file, 65536).decode()
        assert read, f"it ended before: {seen[-1000:]}"
        seen += read
    return seen


def test_nothing_but_python_is_imported_before_signals_are_handled(models_dir: Path) -> None:
    popen = start(models_dir, PYTHONPROFILEIMPORTTIME="1", CATDOG_NO_SUCH_SETTING="1")
    _, said = popen.communicate(timeout=PATIENCE_SECONDS)

    imported = [line.rsplit("|", 1)[1].strip() for line in said.splitlines() if line.startswith("import time:")]
    own = [name for name in imported[: imported.index("argparse")] if name.partition(".")[0] in {"app", "catdog"}]
    assert own == ["app", "app.shutdown"], "which need nothing but Python"
    assert not {"typing", "pydantic", "logging"} & set(imported[imported.index("app") : imported.index("argparse")])


def test_a_second_ctrl_c_ends_a_service_at_once_and_without_a_traceback(models_dir: Path, jpeg: bytes) -> None:
    with running(models_dir) as process, process.connect() as client:
        begin_upload(client, jpeg)
        process.popen.send_signal(signal.SIGINT)
        until(lambda: not process.takes_connections())

        status, log = process.stop(signal.SIGINT)

    assert status == 0
    assert "Traceback" not in log


def test_from_the_signal_on_every_answer_closes_its_connection(models_dir: Path) -> None:
    with running(models_dir, CATDOG_LEAVE_SECONDS="3600") as process, process.connect() as kept_alive:
        kept_alive.sendall(LIVE)
        assert read_answer(kept_alive)[0] == OK
        process.popen.send_signal(signal.SIGTERM)
        until(lambda: not process.is_ready())

        kept_alive.sendall(LIVE)
        answer = rest(kept_alive)
        process.popen.send_signal(signal.SIGINT)

    assert answer.startswith(OK)
    assert b"\r\nconnection: close\r\n" in answer


def test_a_request_that_is_on_its_way_when_the_service_ends_is_answered(
    models_dir: Path,
) -> None:
    with running(models_dir, CATDOG_LEAVE_SECONDS="0") as process, ExitStack() as stack:
        kept_alive, new = [stack.enter_context(process.connect()) for _ in range(2)]
        kept_alive.sendall(LIVE)
        assert read_answer(kept_alive)[0] == OK
        process.popen.send_signal(signal.SIGTERM)
        until(lambda: not process.takes_connections())

        for connection in (kept_alive, new):
            connection.sendall(LIVE)
        answers = [rest(connection) for connection in (kept_alive, new)]
        _, log = process.popen.communicate(timeout=PATIENCE_SECONDS)

    assert [answer.startswith(OK) for answer in answers] == [True, True]
    assert (process.popen.returncode, log) == (0, "")
