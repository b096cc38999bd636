"""A few hostile clients of each kind, while another client predicts."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from benchmarks.harness.processes import limited
from benchmarks.load import hostile_clients
from benchmarks.load.hostile_clients import KINDS, Kind
from tests.app.api.test_queue import ask, ready
from tests.app.service import Service, publish

FEW = 4


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that admits fewer clients than attack."""
    models_dir: Path = tmp_path_factory.mktemp("models")
    publish(models_dir)
    with ready(models_dir, max_uploads=FEW, max_connections=2 * FEW) as service:
        yield service


@contextmanager
def attacked(kind: Kind, port: int) -> Iterator[None]:
    async def until_over() -> None:
        running = asyncio.create_task(hostile_clients.run(kind, port))
        while not over.is_set():
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
        await asyncio.sleep(0)  # transports that were aborted close

    over = Event()
    thread = Thread(target=asyncio.run, args=(until_over(),))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("name", KINDS)
def test_a_client_beside_hostile_ones_is_answered(service: Service, name: str) -> None:
    attack = KINDS[name]._replace(connections=2 * FEW)
    with attacked(attack, service.client.base_url.port or 0):
        answers = [ask(service, shade).status_code for shade in range(20)]

    assert answers == [200] * 20


def test_without_a_limit_the_command_stays_as_it_is() -> None:
    with limited(["true"], None) as command:
        assert command == ["true"]
