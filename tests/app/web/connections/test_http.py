"""A client can cause little work with one request, whatever it sends or doesn't read."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h11
import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send
from uvicorn import Server

from app.shutdown import Shutdown
from app.web import http_protocol
from app.web.connections import Connections
from app.web.http_protocol import FREE_PIECES, BoundedParser, ServerConfig
from tests.app.api.test_queue import connect, ready
from tests.app.service import Service
from tests.app.web.connections.test_connections import LIVE, OK, rest
from tests.waiting import PATIENCE_SECONDS, until

IN_CHUNKS = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: image/png\r\n\r\n"
)
ONE_BYTE = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1\r\n\r\nx"
NO_IMAGE = b"HTTP/1.1 415 Unsupported Media Type\r\n"


@pytest.fixture(autouse=True)
def linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused client is waited for for a second, because these read until the connection is closed."""
    monkeypatch.setattr(http_protocol, "LINGER_SECONDS", 1.0)


def first_lines(connection: socket.socket, count: int) -> list[bytes]:
    """The first lines of the next answers."""
    found = []
    with connection.makefile("rb") as answers:
        for _ in range(count):
            found.append(answers.readline())
            headers = dict(line.rstrip().split(b": ", 1) for line in iter(answers.readline, b"\r\n"))
            answers.read(int(headers[b"content-length"]))
    return found


@pytest.mark.parametrize("key", [None, SecretStr("the key of predictions")])
def test_a_body_in_tiny_pieces_is_refused_before_it_costs_much(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, key: SecretStr | None
) -> None:
    """With and without the key for predictions."""
    events = 0
    next_event = BoundedParser.next_event

    def counted(parser: BoundedParser) -> object:
        nonlocal events
        events += 1
        return next_event(parser)

    with ready(models_dir, predict_key=key) as service, connect(service) as connection:
        monkeypatch.setattr(BoundedParser, "next_event", counted)
        connection.sendall(IN_CHUNKS + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
        answer = rest(connection)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"the body arrives in pieces of less than 128 bytes" in answer
    assert events < 3 * FREE_PIECES


def test_pieces_of_a_usual_size_and_a_few_small_ones_are_read() -> None:
    parser = BoundedParser()
    parser.receive_data(IN_CHUNKS + b"1\r\nx\r\n" * FREE_PIECES + (b"200\r\n" + bytes(512) + b"\r\n") * 1000)

    while (event := parser.next_event()) is not h11.NEED_DATA:
        assert event

    assert parser.body_bytes == FREE_PIECES + 512_000


def test_trailers_change_no_header_and_the_next_request_is_answered(service: Service) -> None:
    with connect(service) as connection:
        connection.sendall(IN_CHUNKS + b"1\r\nx\r\n0\r\nHost: elsewhere\r\n\r\n" + LIVE)

        assert first_lines(connection, 2) == [NO_IMAGE, OK]


def test_requests_that_are_sent_ahead_are_answered_in_their_order(service: Service) -> None:
    with connect(service) as connection:
        connection.sendall((ONE_BYTE + LIVE) * 20)

        assert first_lines(connection, 40) == [NO_IMAGE, OK] * 20


@pytest.mark.parametrize("begun", [LIVE.removesuffix(b"\r\n") + b"X-Long: ", IN_CHUNKS + b"1;"])
def test_neither_a_head_nor_a_chunk_header_may_go_on_for_ever(service: Service, begun: bytes) -> None:
    with connect(service) as connection:
        connection.sendall(begun)
        connection.sendall(b"x" * 1_000_000)

        assert rest(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: localhost\r\n"])
def test_a_request_has_one_host(service: Service, hosts: bytes) -> None:
    with connect(service) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\n" + hosts + b"\r\n")

        assert rest(connection).startswith(b"HTTP/1.1 400 ")


def test_a_head_of_too_many_lines_is_refused(service: Service) -> None:
    with connect(service) as connection:
        connection.sendall(LIVE.removesuffix(b"\r\n") + b"a:b\r\n" * 500 + b"\r\n")
        answer = rest(connection)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"a request may have at most 128 headers" in answer


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        (b"hello\r\n\r\n", 400, "illegal request line"),
        (b"GET / HTTP/1.1\r\nX-Long: " + bytes(70_000).replace(b"\0", b"x"), 431, "Receive buffer too long"),
        (IN_CHUNKS + b"no length\r\n", 400, "illegal chunk header"),
    ],
)
def test_what_is_not_http_is_answered_as_a_problem(service: Service, sent: bytes, status: int, says: str) -> None:
    with connect(service) as connection:
        connection.sendall(sent)
        head, _, content = rest(connection).partition(b"\r\n\r\n")

    problem = json.loads(content)
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in head
    assert problem["status"] == status
    assert says in problem["detail"]
    assert list(problem) == ["type", "title", "status", "detail", "instance"]


def test_what_is_not_http_after_a_request_is_refused_after_its_answer(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(service) as connection:
        connection.sendall(LIVE + b"nonsense\r\n\r\n")

        answers = rest(connection)

    assert answers.startswith(OK)
    assert b"HTTP/1.1 400 " in answers
    assert "Exception" not in caplog.text


def test_a_refusal_reaches_a_client_that_goes_on_sending_without_being_parsed(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = 0
    receive_data = BoundedParser.receive_data

    def counted(parser: BoundedParser, data: bytes) -> None:
        nonlocal received
        received += len(data)
        receive_data(parser, data)

    monkeypatch.setattr(BoundedParser, "receive_data", counted)
    size = 20 * 2**20
    with ready(models_dir, predict_key=SecretStr("the key of predictions")) as service, connect(service) as connection:
        connection.sendall(f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode())
        connection.sendall(bytes(size))
        answer = rest(connection)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert received < size / 2


@contextmanager
def listening(size: int) -> Iterator[tuple[str, int]]:
    """The address of a server whose answers have this many bytes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(size)})

    config = ServerConfig(app, Connections(10), Shutdown(), 60, lifespan="off", ws="none", log_config=None)
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def test_a_client_that_does_not_read_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "READ_SECONDS", 0.1)
    size = 50 * 2**20
    with listening(size) as address, socket.create_connection(address, PATIENCE_SECONDS) as connection:
        connection.sendall(LIVE)
        until(lambda: not is_open(connection))


def is_open(connection: socket.socket) -> bool:
    """Whether the connection is open: after a reset, reading fails once all sent bytes have been read."""
    try:
        connection.sendall(b"x")
    except ConnectionError:
        return False
    return True
