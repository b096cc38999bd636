"""Services for the tests of Teach."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.service import ADMIN, Service, publish, serving
from tests.waiting import until


@pytest.fixture
def taught(tmp_path: Path) -> Iterator[Service]:
    """A service with a store of its own; the test does the work of the trainer."""
    publish(tmp_path / "models")
    with serving(tmp_path / "models", data_dir=tmp_path / "data", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        yield service
