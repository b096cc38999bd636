"""A real service on a tiny network."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image
from pydantic import SecretStr

from app.main import create_app
from app.serving.hot_swap import HotSwap
from app.serving.loaded_model import LoadedModel
from app.serving.loader import VersionLoader
from app.serving.predictor import Predictor
from app.settings import Settings
from app.web.connections import listen
from app.web.server import server
from catdog import images
from catdog.engines.engine import Engine, Explained, Output, Precision
from catdog.network import weights
from catdog.network.architecture import Architecture, Arrays
from catdog.system.location import Remote
from catdog.versions.manifest import Dataset, Lineage, Manifest, WeightsFile
from catdog.versions.measurements import Metrics
from catdog.versions.store import Store
from tests.waiting import PATIENCE_SECONDS

TINY = Architecture(classes=2, width=1 / 32)
TEMPERATURE = 40.0  # random weights give large logits
ADMIN_KEY = "the key of the tests"
CERTIFICATES = ssl.create_default_context()  # each client would read them anew
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}


def publish(
    models_dir: Path | Remote,
    classes: tuple[str, ...] = ("cat", "dog"),
    seed: int = 7,
    head_seed: int | None = None,
    files: Mapping[str, bytes] | None = None,
    **of_manifest: object,
) -> int:
    """Publish a version with random weights and more `files` by name, as the trainer does; return its number.

    The same `seed` gives the same backbone; another `head_seed` gives it another head.
    """
    architecture = Architecture(len(classes), TINY.width)
    arrays = random_arrays(architecture, seed, seed if head_seed is None else head_seed)
    with Store(models_dir).draft() as draft:
        weights.write(draft.weights_path, architecture, arrays)
        for name, content in (files or {}).items():
            (draft.path / name).write_bytes(content)
        (draft.path / "report").mkdir()
        (draft.path / "report" / "history.csv").write_text("epoch,loss\n")
        file = WeightsFile.of(draft.weights_path, "float32")
        version = draft.publish(lambda number: _manifest(number, classes, file).model_copy(update=of_manifest))
    return version.number


def probabilities(champion: LoadedModel, photo: bytes) -> list[float]:
    """The probabilities of a loaded version, without the service."""
    output = champion.engine.infer(images.decode(photo)[np.newaxis])
    return list(champion.answer(output).probabilities.values())


def random_arrays(architecture: Architecture, seed: int, head_seed: int) -> dict[str, NDArray[np.float32]]:
    """Random arrays, with a separate seed for the head."""
    backbone, head = (np.random.default_rng(number) for number in (seed, head_seed))
    return {
        name: _random(head if name.startswith("predictions/") else backbone, shape)
        for name, shape in architecture.shapes.items()
    }


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
        temperature=TEMPERATURE,
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
    """A running service and a client of it."""

    app: FastAPI
    client: httpx.Client

    @property
    def predictor(self) -> Predictor:
        held: Predictor = self.app.state.predictor
        return held

    @contextmanager
    def with_engine(self, wrap: Callable[[Engine], Engine]) -> Iterator[None]:
        """Wrap the champion's engine during the block."""
        champion = self.predictor.champion
        self.predictor.swap(replace(champion, engine=wrap(champion.engine)))
        try:
            yield
        finally:
            self.predictor.swap(champion)


class HeldEngine:
    """A real engine that begins each inference only when it is released."""

    streams = 1
    largest_batch = 1

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.held = threading.Event()
        self.let_go = threading.Event()

    @property
    def precision(self) -> Precision:
        return self.engine.precision

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        self.held.set()
        assert self.let_go.wait(PATIENCE_SECONDS)
        return self.engine.infer(pixels, shared)

    def explain(self, pixels: NDArray[np.uint8], shared: bool = False) -> Explained:
        return self.engine.explain(pixels, shared)

    def with_head(self, arrays: Arrays) -> Engine:
        return self.engine.with_head(arrays)


@contextmanager
def serving(
    models_dir: Path | str, loaded_before: bool = False, defers: bool = False, **settings_given: object
) -> Iterator[Service]:
    """Run a service in this process, with a real server on a thread; its data is inside the store's folder.

    If the store is at a URL, `settings_given` must name the folder of data.
    """
    given: dict[str, Any] = {
        "port": 0,
        "data_dir": Path(models_dir, "data"),
        "admin_key": SecretStr(ADMIN_KEY),
    } | settings_given
    listener, settings = listen(Settings.model_construct(models_dir=models_dir, **given))
    loader = VersionLoader(Store(settings.models), settings)
    if loaded_before:
        loader.begin().result()
    app = create_app(settings, HotSwap(settings, loader), defers=defers)
    running = server(app, settings)
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    try:
        with httpx.Client(base_url=settings.address, timeout=PATIENCE_SECONDS, verify=CERTIFICATES) as client:
            yield Service(app, client)
    finally:
        running.should_exit = True
        thread.join()


def said(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without its unique id."""
    return {name: value for name, value in answer.items() if name != "prediction_id"}


def encoded(image: Image.Image, format: str) -> bytes:
    """The image, encoded as a file."""
    file = BytesIO()
    image.save(file, format)
    return file.getvalue()
