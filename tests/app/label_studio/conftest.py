"""A service that is connected to a Label Studio."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.label_studio.studio import Studio, basic, running
from tests.app.service import ADMIN_KEY, Service, serving
from tests.waiting import until


@pytest.fixture(scope="module")
def shared_studio() -> Iterator[Studio]:
    with running() as studio:
        yield studio


@pytest.fixture(scope="module")
def shared_service(
    shared_studio: Studio, models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("data")
    with serving(models_dir, data_dir=data, worker="none", **shared_studio.settings) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(basic(ADMIN_KEY))
        yield service


@pytest.fixture
def studio(shared_studio: Studio) -> Studio:
    """A Label Studio without tasks."""
    shared_studio.pictures.clear()
    shared_studio.exported.clear()
    shared_studio.seen.clear()
    shared_studio.exchanges = 0
    return shared_studio


@pytest.fixture
def connected(shared_service: Service, studio: Studio) -> Service:
    """A service that is connected to it, without data sets; its client sends the admin key as a password."""
    for dataset in shared_service.client.get("/datasets").json()["datasets"]:
        assert shared_service.client.delete(f"/datasets/{dataset['name']}").is_success
    return shared_service
