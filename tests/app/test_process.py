"""The service in its own process, started by `python -m app`."""

import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from app.web.server import server
from tests.app.process import Process, begin_upload, running, start
from tests.app.service import ADMIN, publish, said
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS, until

MIB = 2**20
HEAVY = ("tensorflow", "keras", "sklearn", "matplotlib", "torch", "jax", "scipy", "pandas")


@pytest.fixture(scope="module")
def process(models_dir: Path) -> Iterator[Process]:
    """A service process that several tests share."""
    with running(models_dir) as process:
        yield process
        assert process.stop() == (0, ""), "nothing that a client does is worth a line in the log"


def test_a_service_says_in_one_line_where_it_is_and_what_it_serves(process: Process) -> None:
    pattern = rf".* INFO {process.url} serves version 1 \(cat, dog; (f32|bf16)\)\n"

    assert re.fullmatch(pattern, process.line)
    assert process.is_ready()


def test_a_photo_arrives_with_an_offer_to_upgrade_the_connection(process: Process, jpeg: bytes) -> None:
    """Clients such as curl --http2 and Java's client send an offer; nothing is upgraded."""
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAoAAAAAIAAAAA"}

    answer = httpx.post(f"{process.url}/predict", content=jpeg, headers={"Content-Type": "image/jpeg", **offer})

    assert answer.status_code == 200


def test_a_request_head_without_end_is_refused(process: Process) -> None:
    sent = 0
    with process.connect() as connection, suppress(ConnectionError):
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        while sent < 100 * MIB:
            connection.sendall(b"x" * MIB)
            sent += MIB

    assert sent < 100 * MIB


def test_a_form_sent_by_curl_is_answered(process: Process, jpeg: bytes, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg)

    answer = subprocess.check_output(["curl", "-sS", "-F", f"file=@{photo}", f"{process.url}/predict"]).decode()

    assert answer.startswith('{"label":')


@pytest.mark.parametrize("options", [["-H", "Expect:"], [], ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]])
def test_curl_sees_why_a_large_file_is_refused(process: Process, tmp_path: Path, options: list[str]) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(20 * MIB))
    command = ["curl", "-sS", "-w", " %{http_code}", *options, "-F", f"file=@{large}", f"{process.url}/predict"]

    answer = subprocess.check_output(command, encoding="utf-8")

    assert "urn:catdog:problem:too-large" in answer
    assert answer.endswith(" 413")


@pytest.mark.parametrize("head", ["Content-Length: 20971520", "Transfer-Encoding: chunked"])
def test_a_client_that_sends_everything_before_it_reads_sees_why_it_is_refused(process: Process, head: str) -> None:
    chunk = bytes(MIB) if "Length" in head else b"100000\r\n" + bytes(MIB) + b"\r\n"
    with process.connect() as connection:
        connection.sendall(
            f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n{head}\r\n\r\n".encode()
        )
        for _ in range(20):
            connection.sendall(chunk)
        answer = connection.makefile("rb").readline()

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_never_stops_sending_is_cut_off(process: Process) -> None:
    sent = 0
    with process.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while sent < 1000 * MIB:
                connection.sendall(b"100000\r\n" + bytes(MIB) + b"\r\n")
                sent += MIB

    assert 10 * MIB < sent < 100 * MIB


def test_an_upload_that_takes_too_long_is_refused(models_dir: Path, jpeg: bytes) -> None:
    with running(models_dir, CATDOG_UPLOAD_SECONDS="1") as process, process.connect() as connection:
        begin_upload(connection, jpeg)
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:catdog:problem:too-slow" in answer


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_in_the_middle_of_its_upload_leaves_no_trace(
    process: Process, jpeg: bytes, reset: bool
) -> None:
    with process.connect() as connection:
        begin_upload(connection, jpeg)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert process.is_ready()


def test_serving_takes_little_memory(process: Process, jpeg: bytes) -> None:
    status = Path(f"/proc/{process.popen.pid}/status")
    if not status.exists():
        pytest.skip("needs /proc")
    for _ in range(3):
        httpx.post(f"{process.url}/predict", files={"file": jpeg})

    resident = re.search(r"VmRSS:\s+(\d+) kB", status.read_text(encoding="utf-8"))

    assert resident
    assert int(resident[1]) * 1024 < 400 * 10**6


def test_serving_imports_nothing_of_training() -> None:
    script = "import sys, app.main, catdog.engines.openvino; print(*{name.split('.')[0] for name in sys.modules})"

    imported = subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, encoding="utf-8").split()

    assert not set(HEAVY) & set(imported)
    assert {"app", "openvino"} <= set(imported)


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_on_shutdown_an_accepted_request_finishes_and_no_other_is_accepted(
    models_dir: Path, jpeg: bytes, with_signal: signal.Signals
) -> None:
    with running(models_dir) as process, process.connect() as connection:
        begin_upload(connection, jpeg)
        process.popen.send_signal(with_signal)
        until(lambda: not process.takes_connections())

        connection.sendall(jpeg[len(jpeg) // 2 :])
        answer = connection.makefile("rb").read()
        _, log = process.popen.communicate(timeout=PATIENCE_SECONDS)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"model_version":1' in answer
    assert (process.popen.returncode, log) == (0, "")


def test_after_a_signal_the_service_is_not_ready_and_keeps_answering_for_a_moment(
    models_dir: Path, jpeg: bytes
) -> None:
    """A load balancer can send requests elsewhere before the port is closed; a second Ctrl-C ends it at once."""
    with running(models_dir, CATDOG_LEAVE_SECONDS="3600") as process:
        process.popen.send_signal(signal.SIGINT)
        until(lambda: not process.is_ready())

        assert "the service is shutting down" in httpx.get(f"{process.url}/health/ready").json()["detail"]
        answer = httpx.post(f"{process.url}/predict", content=jpeg, headers={"Content-Type": "image/jpeg"})
        assert answer.status_code == 200

        assert process.stop(signal.SIGINT)[0] == 0


def test_a_request_that_does_not_finish_holds_the_shutdown_only_for_so_long(models_dir: Path, jpeg: bytes) -> None:
    with running(models_dir, CATDOG_DRAIN_SECONDS="1") as process, process.connect() as connection:
        begin_upload(connection, jpeg)
        process.popen.send_signal(signal.SIGTERM)
        answer = connection.makefile("rb").read()
        _, log = process.popen.communicate(timeout=PATIENCE_SECONDS)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"the service is shutting down" in answer
    assert process.popen.returncode == 0
    assert "Traceback" not in log


def test_a_service_can_be_stopped_while_it_loads(models_dir: Path) -> None:
    popen = start(models_dir, PORT="0", CATDOG_MODELS_DIR=str(models_dir))
    try:
        popen.send_signal(signal.SIGTERM)
        popen.communicate(timeout=PATIENCE_SECONDS)
    finally:
        popen.kill()

    assert popen.returncode in {0, -signal.SIGTERM}  # the latter if it came before our first line


def test_wrong_settings_end_the_service_with_one_message(tmp_path: Path) -> None:
    popen = start(tmp_path, CATDOG_PROT="8000", CATDOG_THREADS="none")

    _, log = popen.communicate(timeout=PATIENCE_SECONDS)

    assert popen.returncode == 2
    assert log.splitlines()[0] == "catdog can't start: the settings are wrong:"
    assert "did you mean CATDOG_PORT?" in log
    assert "CATDOG_THREADS=none: " in log
    assert "Traceback" not in log
    assert "pydantic" not in log


def test_a_key_that_cannot_be_kept_ends_the_service_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")

    popen = start(tmp_path, PORT="0")
    _, log = popen.communicate(timeout=PATIENCE_SECONDS)

    assert popen.returncode == 2
    assert log.startswith("catdog can't start: the admin key can't be stored in data/admin.key (")
    assert log.count("\n") == 1


def test_a_service_follows_the_champion_pointer(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path)
    publish(tmp_path, seed=8)
    with running(tmp_path) as one, running(tmp_path) as another:
        httpx.post(f"{one.url}/models/2/promote", headers=ADMIN).raise_for_status()
        moved = monotonic()

        until(lambda: httpx.get(f"{another.url}/model").json()["version"] == 2)
        seconds = monotonic() - moved

        answers = [httpx.post(f"{service.url}/predict", content=jpeg).json() for service in (one, another)]
        assert said(answers[0]) == said(answers[1])
        assert answers[0]["model_version"] == 2
        assert seconds < 2


def test_a_refusal_for_want_of_a_key_comes_before_the_body_is_asked_for(models_dir: Path) -> None:
    with running(models_dir, CATDOG_PREDICT_KEY="a key for predictions") as process:
        for path in ("/predict", "/predict/batch", "/models/1/promote", "/models/x/promote", "/rollback"):
            with process.connect() as connection:
                head = (
                    f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
                )
                connection.sendall(head.encode())
                assert connection.makefile("rb").readline() == b"HTTP/1.1 401 Unauthorized\r\n", path


def test_an_idle_connection_is_closed_after_the_seconds_that_are_set(models_dir: Path) -> None:
    with running(models_dir, CATDOG_KEEP_ALIVE_SECONDS="1") as process:
        client = HTTPConnection(*process.address, timeout=PATIENCE_SECONDS)
        for _ in range(2):
            client.request("GET", "/health/live")
            answer = client.getresponse()
            assert answer.read()
            assert answer.status == HTTPStatus.OK
        with client.sock as connection:
            assert connection.recv(1) == b"", "closed by the service"


def test_idle_connections_outlive_those_of_load_balancers() -> None:
    settings = Settings()

    assert server(create_app(settings), settings).config.timeout_keep_alive >= 75


def test_a_client_without_a_host_is_answered(process: Process) -> None:
    with process.connect() as connection:
        connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
        answer = connection.makefile("rb").readline()

    assert answer.startswith(b"HTTP/1.1 200 ")


def test_an_address_in_use_ends_the_service_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        popen = start(tmp_path, HOST="127.0.0.1", PORT=str(port))
        _, log = popen.communicate(timeout=PATIENCE_SECONDS)

    assert popen.returncode == 1
    assert log.startswith(f"catdog can't listen: HOST=127.0.0.1, PORT={port}: ")
    assert "set CATDOG_PORT" in log
    assert log.count("\n") == 1
