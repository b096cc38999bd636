"""What the tests of the client share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from catdog.client import AsyncClient, Client
from tests.app.service import ADMIN_KEY, Service, publish, serving
from tests.photos import draw_set
from tests.waiting import until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two versions, whose trainings no worker runs."""
    folder = tmp_path_factory.mktemp("service")
    publish(folder)
    publish(folder, seed=8)
    with serving(folder, worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


@pytest.fixture
def url(service: Service) -> str:
    return str(service.client.base_url)


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, ADMIN_KEY) as client:
        yield client


@pytest.fixture
def other(url: str) -> AsyncClient:
    """The client for asynchronous code, to be opened in the test's event loop."""
    return AsyncClient(url, ADMIN_KEY)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twelve pictures of a cat and of a dog each."""
    return draw_set(tmp_path_factory.mktemp("photos"), 12)
