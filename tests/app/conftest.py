"""Fixtures for the tests of `app`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.retraining import shadow
from app.serving import os_tuning
from catdog.engines.engine import Engine
from catdog.engines.openvino import OpenVINOEngine
from catdog.network.architecture import Network
from tests.app.service import ADMIN, TINY, Service, encoded, publish, random_arrays, serving
from tests.app.watching import WatchedDecoding
from tests.waiting import until

os_tuning.limit_arenas()  # as the service does, for the memory of the hundreds that the tests start


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one version."""
    path = tmp_path_factory.mktemp("models")
    publish(path)
    return path


@pytest.fixture(scope="session")
def service(models_dir: Path) -> Iterator[Service]:
    """A ready service. A test that changes its champion must restore it."""
    with serving(models_dir) as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield service


@pytest.fixture
def keeper(models_dir: Path, tmp_path: Path) -> Iterator[Service]:
    """A service with its own data and without workers, whose client sends the admin key."""
    with serving(models_dir, data_dir=tmp_path / "data", worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        service.client.headers.update(ADMIN)
        yield service


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A small photo with structure."""
    noise = np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8)
    return encoded(Image.fromarray(noise).resize((320, 240)), "JPEG")


@pytest.fixture(scope="session")
def real() -> Engine:
    """An engine that a test may wrap."""
    return OpenVINOEngine(Network(TINY, random_arrays(TINY, 7, 7)), "f32")


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> WatchedDecoding:
    """Records every decoding of the test."""
    return WatchedDecoding(monkeypatch)


@pytest.fixture
def quick_shadow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates on trial look at photos at once."""
    monkeypatch.setattr(shadow, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(shadow, "IDLE_SECONDS", 0.005)
    monkeypatch.setattr(shadow, "RESTS", 1)
