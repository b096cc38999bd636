"""The log of a real service, as text and as JSON."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.telemetry.logs import JsonLines
from tests.app.api.test_queue import ask, ready
from tests.app.process import Process, running
from tests.app.service import ADMIN_KEY, Service
from tests.app.watching import photo
from tests.app.web.test_problem_details import StumblingEngine
from tests.places import ROOT
from tests.waiting import until

MIB = 2**20
KEY = "a key for predictions"


@contextmanager
def logging_json() -> Iterator[StringIO]:
    """The JSON lines that services in this process log during the block."""
    log = StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonLines())
    ours = logging.getLogger("app")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield log
    finally:
        ours.removeHandler(handler)
        ours.setLevel(logging.NOTSET)


def lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


@pytest.fixture(scope="module")
def told(models_dir: Path) -> tuple[Process, httpx.Response, str]:
    """A service that logs every request, one of its answers, and its log after more requests."""
    settings = {"CATDOG_LOG_SLOW_SECONDS": "0", "CATDOG_LOG_FORMAT": "json", "CATDOG_PREDICT_KEY": KEY}
    with running(models_dir, **settings) as process:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = httpx.post(f"{process.url}/predict", content=photo(1), headers=headers)
        files = [("file", photo(1)), ("file", b"no photo")]
        httpx.post(f"{process.url}/predict/batch", files=files, headers=headers)
        httpx.get(f"{process.url}/models/7", params={"key": KEY}, headers=headers)
        httpx.get(f"{process.url}/queue", headers={"Authorization": f"Bearer {ADMIN_KEY}x"})
        httpx.post(f"{process.url}/retrain", content=bytes(MIB))  # refused before its body is read
        _, log = process.stop()
        return process, answer, log


def test_each_line_is_an_object_with_time_level_message_and_logger(told: tuple[Process, httpx.Response, str]) -> None:
    process, _, log = told

    for line in lines(process.line + log):
        assert {"time", "level", "message", "logger"} <= set(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert json.loads(process.line)["message"].startswith(f"{process.url} serves version 1 ")


def test_a_request_is_logged_with_its_id_its_phases_and_the_version(told: tuple[Process, httpx.Response, str]) -> None:
    _, answer, log = told

    line = next(line for line in lines(log) if line.get("route") == "/predict")

    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert (line["method"], line["status"], line["model_version"], line["photos"]) == ("POST", 200, 1, 1)
    phases = [line[f"{phase}_seconds"] for phase in ("read", "decode", "queue", "infer")]
    assert all(0 <= each < line["seconds"] for each in phases)
    assert sum(phases) <= line["seconds"]
    assert re.match(r"POST /predict: 200 in \d+\.\d ms \(read ", line["message"])


def test_what_was_wrong_is_logged(told: tuple[Process, httpx.Response, str]) -> None:
    found = {line["route"]: line["problems"] for line in lines(told[2]) if "route" in line}

    assert found["/predict/batch"] == ["unsupported-image"]
    assert found["/queue"] == found["/retrain"] == ["unauthorized"]
    assert found["/predict"] == []


def test_neither_keys_nor_addresses_are_logged(told: tuple[Process, httpx.Response, str]) -> None:
    log = told[2]

    assert not [secret for secret in (KEY, ADMIN_KEY, "key=", "/models/7") if secret in log]


@contextmanager
def on_a_terminal(models_dir: Path, **settings: str) -> Iterator[int]:
    """A service whose stderr is a terminal, and the other end of the terminal."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CATDOG_")}
    given = {"PORT": "0", "CATDOG_MODELS_DIR": str(models_dir), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "app"], cwd=models_dir, env=environment | given | settings, stderr=theirs
    )
    try:
        os.close(theirs)
        yield ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def first_line(terminal: int) -> str:
    said = b""
    while b"\n" not in said:
        said += os.read(terminal, 1000)
    return said.decode().splitlines()[0]


@pytest.mark.parametrize(("settings", "is_json"), [({}, False), ({"CATDOG_LOG_FORMAT": "json"}, True)])
def test_on_a_terminal_people_read_unless_the_settings_say_otherwise(
    tmp_path: Path, settings: dict[str, str], is_json: bool
) -> None:
    with on_a_terminal(tmp_path, **settings) as terminal:
        line = first_line(terminal)

    assert line.startswith("{") == is_json
    assert "the admin key is in" in line


def test_elsewhere_than_on_a_terminal_machines_read(models_dir: Path) -> None:
    with running(models_dir, CATDOG_LOG_FORMAT="auto") as process:
        assert json.loads(process.line)["level"] == "INFO"


def test_an_unexpected_failure_is_one_line_with_its_trace_and_the_id_that_the_client_got(
    models_dir: Path,
) -> None:
    with ready(models_dir) as service, logging_json() as log, service.with_engine(lambda _: StumblingEngine()):
        answer = ask(service, 1)
        until(lambda: len(lines(log.getvalue())) == 2)

    failure, request = lines(log.getvalue())
    assert failure["request_id"] == request["request_id"] == answer.headers["X-Request-ID"]
    assert "RuntimeError: secret of /home/someone" in failure["trace"]
    assert (request["level"], request["status"], request["problems"]) == ("ERROR", 500, ["internal-error"])


def test_only_requests_that_take_the_service_long_are_logged_by_default(models_dir: Path) -> None:
    with ready(models_dir, log_slow_seconds=1000) as quick, logging_json() as log:
        ask(quick, 1)
        quick.client.get("/nowhere")
        _refused_for_want_of_room(quick)
    assert log.getvalue() == ""

    with ready(models_dir, log_slow_seconds=1e-9) as slow, logging_json() as log:
        ask(slow, 1)
    assert lines(log.getvalue())[-1]["level"] == "INFO"


def _refused_for_want_of_room(service: Service) -> None:
    room = service.predictor.admission
    with room.admitted(room.limit):
        assert ask(service, 1).status_code == 503
