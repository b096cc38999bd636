"""Clients that send a photo and disconnect."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi import Request
from starlette.types import Message

from app.errors import ClientGone
from app.web.uploads import unless_gone
from tests.app.api.test_queue import ask, connect, head, queue, read_answer, ready, watched
from tests.app.service import Service
from tests.app.watching import photo
from tests.waiting import until

FORM = "Content-Type: multipart/form-data; boundary=x"


@pytest.fixture(scope="module")
def service(models_dir: Path) -> Iterator[Service]:
    with ready(models_dir, queue_items=4) as service:
        yield service


def one(shade: int) -> bytes:
    return head("/predict", len(photo(shade)), "Content-Type: image/png") + photo(shade)


def batch(*shades: int) -> bytes:
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = b"".join(part + photo(shade) + b"\r\n" for shade in shades) + b"--x--\r\n"
    return head("/predict/batch", len(body), FORM) + body


def leave(connection: socket.socket, reset: bool) -> None:
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("reset", [False, True])
def test_a_photo_whose_client_has_gone_never_reaches_the_engine(service: Service, reset: bool) -> None:
    before = queue(service)["abandoned"]
    with ThreadPoolExecutor(1) as elsewhere, watched(service) as engine:
        first = elsewhere.submit(ask, service, 0)
        until(lambda: engine.seen == [0])
        leaving = connect(service)
        leaving.sendall(one(1))
        until(lambda: queue(service)["depth"] == 2)

        leave(leaving, reset)
        until(lambda: queue(service)["depth"] == 1)
        assert queue(service)["abandoned"] == before + 1

        engine.let_go.set()
        assert first.result().status_code == 200
        assert ask(service, 2).status_code == 200

    assert engine.seen == [0, 2]
    assert queue(service)["depth"] == 0


def test_a_batch_whose_client_has_gone_is_not_gone_on_with(service: Service) -> None:
    before = queue(service)
    with watched(service) as engine:
        leaving = connect(service)
        leaving.sendall(batch(*range(10)))
        until(lambda: len(engine.seen) == 1)
        begun = engine.seen[0]

        leaving.close()
        until(lambda: queue(service)["depth"] == 0)
        engine.let_go.set()
        assert ask(service, 20).status_code == 200

    assert engine.seen == [begun, 20]
    state = queue(service)
    assert (state["answered"], state["refused"]) == (before["answered"] + 1, before["refused"])
    assert state["abandoned"] > before["abandoned"]


def test_clients_that_leave_never_fill_the_queue(service: Service) -> None:
    """More of them than places in the queue."""
    with watched(service) as engine:
        for _ in range(9):
            leaving = connect(service)
            leaving.sendall(one(1))
            until(lambda: queue(service)["depth"] == 1)
            leaving.close()
            until(lambda: queue(service)["depth"] == 0)
        engine.let_go.set()
        assert ask(service, 2).status_code == 200

    assert queue(service)["refused"] == 0


def test_a_client_that_leaves_is_no_error(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with watched(service) as engine:
        leaving = connect(service)
        leaving.sendall(one(1))
        until(lambda: engine.seen == [1])
        leaving.close()
        until(lambda: queue(service)["depth"] == 0)

    assert [record for record in caplog.records if not record.name.startswith("httpx")] == []


def test_a_client_that_keeps_the_connection_open_is_answered(service: Service) -> None:
    with connect(service) as connection:
        for _ in range(3):
            connection.sendall(one(1))
            assert read_answer(connection)[0] == b"HTTP/1.1 200 OK\r\n"


def test_a_request_that_the_server_ends_is_not_taken_for_a_client_that_left() -> None:
    """At the end of a drain the server cancels what still runs, and answers that itself."""

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def scenario() -> None:
        request = Request({"type": "http"}, never)
        running = asyncio.create_task(unless_gone(request, asyncio.Event().wait()))
        await asyncio.sleep(0)
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())


def test_a_client_that_left_ends_what_it_asked_for() -> None:
    ended: list[str] = []

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def answer() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(ClientGone):
        asyncio.run(unless_gone(Request({"type": "http"}, gone), answer()))

    assert ended == ["cancelled"]
