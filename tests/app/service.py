"""A real service on a tiny network."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image

from app.main import create_app
from app.predictor import Champion, Predictor
from app.server import listen, server
from app.settings import Settings
from catdog import images, weights
from catdog.architecture import Architecture
from catdog.engines import Engine, Output, Precision
from catdog.manifest import Dataset, Lineage, Manifest, Metrics, WeightsFile
from catdog.store import Store
from tests.waiting import PATIENCE_SECONDS

TINY = Architecture(classes=2, width=1 / 32)


def publish(models_dir: Path, classes: tuple[str, ...] = ("cat", "dog")) -> None:
    """A version of random weights, published as the trainer does it."""
    random = np.random.default_rng(7)
    architecture = Architecture(len(classes), TINY.width)
    arrays = {name: _random(random, shape) for name, shape in architecture.shapes.items()}
    with Store(models_dir).draft() as draft:
        weights.write(draft.weights_path, architecture, arrays)
        file = WeightsFile.of(draft.weights_path, "float32")
        draft.publish(lambda version: _manifest(version, classes, file))


def _random(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    fan_in = max(1, int(np.prod(shape[:-1])))
    return random.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)


def _manifest(version: int, classes: tuple[str, ...], file: WeightsFile) -> Manifest:
    rates = dict.fromkeys(classes, 0.5)
    return Manifest(
        version=version,
        created=datetime(2026, 3, 1, 12, tzinfo=UTC),
        classes=classes,
        width=TINY.width,
        head=TINY.head,
        preprocessing=images.FINGERPRINT,
        weights=file,
        temperature=40.0,  # random weights give large logits
        metrics={
            "validation": Metrics(
                photos=100,
                accuracy=0.5,
                accuracy_low=0.4,
                accuracy_high=0.6,
                log_loss=0.7,
                calibration_error=0.01,
                precision=rates,
                recall=rates,
                data="random",
            )
        },
        lineage=Lineage(
            command="python -m training train --data /home/someone/photos",
            recipe=None,
            strategy="full",
            backbone="random",
            parent=None,
            dataset=Dataset(fingerprint="0" * 64, photos={"train": dict.fromkeys(classes, 1)}),
            seed=7,
            seconds=1.0,
            hardware="two cores",
            libraries={},
            notes="",
        ),
    )


@dataclass
class Service:
    """A running service, and the way in."""

    app: FastAPI
    client: httpx.Client

    @property
    def predictor(self) -> Predictor:
        held: Predictor = self.app.state.predictor
        return held

    @contextmanager
    def with_engine(self, wrap: Callable[[Engine], Engine]) -> Iterator[None]:
        """Serve with the champion's engine wrapped, for a while."""
        champion = self.predictor.champion
        self.predictor.swap(Champion(champion.manifest, wrap(champion.engine)))
        try:
            yield
        finally:
            self.predictor.swap(champion)


class HeldEngine:
    """A real engine that begins each inference only when it is let go."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.held = threading.Event()
        self.let_go = threading.Event()

    @property
    def precision(self) -> Precision:
        return self.engine.precision

    def infer(self, pixels: NDArray[np.uint8]) -> Output:
        self.held.set()
        assert self.let_go.wait(PATIENCE_SECONDS)
        return self.engine.infer(pixels)


@contextmanager
def serving(models_dir: Path) -> Iterator[Service]:
    """A service in this process, behind a real server on a thread."""
    listener, settings = listen(Settings.model_construct(port=0, models_dir=models_dir))
    app = create_app(settings)
    running = server(app, settings)
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    try:
        with httpx.Client(base_url=settings.address, timeout=PATIENCE_SECONDS) as client:
            yield Service(app, client)
    finally:
        running.should_exit = True
        thread.join()


def encoded(image: Image.Image, format: str) -> bytes:
    """The image as a file's bytes."""
    file = BytesIO()
    image.save(file, format)
    return file.getvalue()
