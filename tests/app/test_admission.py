"""Request bodies are limited in total: in number, in bytes and in time."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from app import admission
from app.admission import OVERHEAD_BYTES, Admission, Bodies, Body
from app.errors import Overloaded, TooSlow
from app.settings import Settings
from app.web import auth
from tests.app.api.test_queue import connect, head, read_answer, ready
from tests.app.service import Service
from tests.app.watching import photo
from tests.waiting import until

MIB = 2**20
FORM = "Content-Type: multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


class Uploads:
    """Starts uploads in a running event loop; they stall until they are released or cut off."""

    def __init__(self, **given: object) -> None:
        self.bodies = Bodies(Settings.model_construct(**({"max_bodies_bytes": 100 * MIB} | given)))  # type: ignore[arg-type]
        self.app = FastAPI()
        self.app.state.bodies = self.bodies
        self._let_go = asyncio.Event()

    async def begin(self, hold: int = 0, caller: auth.Caller | None = None) -> tuple[Body, asyncio.Task[None]]:
        """Start an upload that has sent `count` bytes."""
        request = Request({"type": "http", "method": "POST", "headers": [], "app": self.app})
        request.state.caller = caller
        found: list[Body] = []

        async def upload() -> None:
            async with self.bodies.receiving(request, 60, auth.has_admin_role(request)) as body:
                found.append(body)
                body.hold(hold)
                await self._let_go.wait()

        task = asyncio.create_task(upload())
        while not (found or task.done()):
            await asyncio.sleep(0)
        if task.done():
            task.result()
        return found[0], task

    async def end(self, *tasks: asyncio.Task[None]) -> list[type[BaseException] | None]:
        """Release all uploads; return the error or result of each."""
        self._let_go.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return [type(result) if isinstance(result, BaseException) else None for result in results]


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(scenario())


def test_the_body_with_the_least_patience_gives_its_place_to_one_that_arrives() -> None:
    async def scenario() -> None:
        uploads = Uploads(max_uploads=2)
        first, second = await uploads.begin(), await uploads.begin()
        first[0].arrived(MIB)

        third = await uploads.begin()

        assert uploads.bodies.taken == 2
        assert await uploads.end(first[1], second[1], third[1]) == [None, Overloaded, None]
        assert uploads.bodies.refused == 1

    run(scenario)


def test_bytes_are_bounded_and_the_bodies_that_stall_make_room() -> None:
    async def scenario() -> None:
        uploads = Uploads()
        stalling = [(await uploads.begin(hold=20 * MIB))[1] for _ in range(4)]

        _, newest = await uploads.begin(hold=30 * MIB)

        assert uploads.bodies.held_bytes == 90 * MIB + 4 * OVERHEAD_BYTES
        assert await uploads.end(*stalling, newest) == [Overloaded, None, None, None, None]

    run(scenario)


def test_bytes_that_still_come_bring_no_body_back_that_gave_way() -> None:
    async def scenario() -> None:
        uploads = Uploads(max_uploads=1)
        body, stalling = await uploads.begin()
        _, newest = await uploads.begin()

        for still_comes in (body.arrived, body.hold):
            with pytest.raises(Overloaded):
                still_comes(MIB)

        assert await uploads.end(stalling, newest) == [Overloaded, None]
        assert uploads.bodies.held_bytes == OVERHEAD_BYTES

    run(scenario)


def test_a_body_that_finds_no_room_is_refused_and_costs_no_other_its_place() -> None:
    async def scenario() -> None:
        uploads = Uploads()
        _, stalling = await uploads.begin(hold=20 * MIB)
        with pytest.raises(Overloaded):
            await uploads.begin(hold=110 * MIB)
        assert await uploads.end(stalling) == [None]

    run(scenario)


def test_requests_with_the_admin_key_have_room_of_their_own_and_never_give_way() -> None:
    async def scenario() -> None:
        uploads = Uploads(max_uploads=8)
        ordinary = [(await uploads.begin())[1] for _ in range(8)]
        _, of_admin = await uploads.begin(caller=auth.ADMIN_KEY)
        assert uploads.bodies.taken == 9

        _, newest = await uploads.begin()

        assert await uploads.end(*ordinary, of_admin, newest) == [*[Overloaded] * 2, *[None] * 8]

    run(scenario)


def test_bytes_are_held_until_the_request_ends_and_not_only_until_they_are_received() -> None:
    async def scenario() -> None:
        uploads = Uploads()
        held: list[int] = []

        async def app(scope: object, receive: object, send: object) -> None:
            async with uploads.bodies.receiving(Request(http), 60, is_admin=False) as body:
                body.hold(MIB)
            held.append(uploads.bodies.held_bytes)

        http = {"type": "http", "method": "POST", "headers": [], "app": uploads.app}
        await Admission(app)(http, None, None)  # type: ignore[arg-type]

        assert held == [MIB + OVERHEAD_BYTES]
        assert uploads.bodies.held_bytes == 0

    run(scenario)


def test_a_body_that_brings_too_few_bytes_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "GRACE_SECONDS", 0.05)

    async def scenario() -> None:
        uploads = Uploads(min_upload_bytes_per_second=1000)
        slow, quick = await uploads.begin(), await uploads.begin()
        slow[0].arrived(1)
        while not slow[1].done():
            quick[0].arrived(1000)
            await asyncio.sleep(0)
        assert await uploads.end(slow[1], quick[1]) == [TooSlow, None]

    run(scenario)


def test_clients_that_fill_every_place_and_stall_keep_no_other_out(models_dir: Path) -> None:
    with ready(models_dir, max_uploads=5) as service, ExitStack() as stack:
        for _ in range(8):
            begin(service, stack)
        until(lambda: service.app.state.bodies.refused == 3)

        for shade in range(10):
            assert service.client.post("/predict", content=photo(shade)).status_code == 200

        assert service.app.state.bodies.refused == 4


def begin(service: Service, stack: ExitStack) -> None:
    connection = stack.enter_context(connect(service))
    connection.sendall(head("/predict", 1000, "Content-Type: image/png") + b"half of it")


def test_what_a_request_held_in_memory_is_freed_at_its_end_without_the_garbage_collector(service: Service) -> None:
    """A form and its parser refer to each other: 39 of 64 MiB, one after another, filled a container of 2 GB."""
    picture = PART + photo(1) + b"\r\n"
    large = PART + bytes(2 * MIB) + b"\r\n"
    bodies = {
        "/predict": [picture + b"--x--\r\n", large + b"--x--\r\n", large],
        "/predict/batch": [picture + large + b"--x--\r\n", large, large + b"--x\r\nbroken"],
    }
    with connect(service) as connection:

        def send_all() -> None:
            for path, contents in bodies.items():
                for content in contents:
                    connection.sendall(head(path, len(content), FORM) + content)
                    read_answer(connection)

        send_all()
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(3):
                send_all()
            held_bytes = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            gc.enable()

    assert held_bytes < MIB
