"""Engines, decoding and callers that tests of the queue record and hold."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.errors import Expired
from app.serving.prediction import Prediction
from app.serving.predictor import Predictor
from app.settings import Settings
from catdog import images
from catdog.engines.engine import Engine, Explained, Output, Precision
from catdog.network.architecture import Arrays
from tests.app.service import Service, encoded
from tests.waiting import PATIENCE_SECONDS, until

LONG = PATIENCE_SECONDS * 1000  # milliseconds that a batch would wait, in tests that see it go before

Asking = asyncio.Task[Prediction]


def photo(shade: int) -> bytes:
    """A grey photo of this shade."""
    return encoded(Image.new("L", (16, 16), shade), "PNG")


class Call(NamedTuple):
    """One inference: the shades of its photos, and the number of inferences running then."""

    shades: tuple[int, ...]
    shared: bool
    at_once: int


class WatchedEngine:
    """A real engine that records its calls, waits until it is released, and fails the calls that `fails` selects."""

    def __init__(self, engine: Engine, streams: int = 1, largest_batch: int = 1) -> None:
        self.engine = engine
        self.streams = streams
        self.largest_batch = largest_batch
        self.calls: list[Call] = []
        self.fails: Callable[[Call], bool] = lambda _: False
        self.let_go = threading.Event()
        self.let_go.set()
        self._lock = threading.Lock()
        self._running = 0

    @property
    def precision(self) -> Precision:
        return self.engine.precision

    @property
    def seen(self) -> list[int]:
        """All shades so far."""
        return [shade for call in self.calls for shade in call.shades]

    @property
    def sizes(self) -> list[int]:
        """The number of photos of each call."""
        return [len(call.shades) for call in self.calls]

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        with self._lock:
            self._running += 1
            call = Call(tuple(int(one.mean()) for one in pixels), shared, self._running)
            self.calls.append(call)
        try:
            assert self.let_go.wait(PATIENCE_SECONDS)
            if self.fails(call):
                raise RuntimeError("the device has no memory left")
            return self.engine.infer(pixels, shared)
        finally:
            with self._lock:
                self._running -= 1

    def explain(self, pixels: NDArray[np.uint8], shared: bool = False) -> Explained:
        return self.engine.explain(pixels, shared)

    def with_head(self, arrays: Arrays) -> Engine:
        return self.engine.with_head(arrays)


class WatchedDecoding:
    """Decodes photos, records them, and holds some until they are released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[bytes] = []
        self.ended: list[bytes] = []
        self.holds: set[bytes] = set()
        self.let_go = threading.Event()
        self._decode = images.decode
        monkeypatch.setattr(images, "decode", self)

    def __call__(self, data: bytes) -> NDArray[np.uint8]:
        self.begun.append(data)
        if data in self.holds:
            assert self.let_go.wait(PATIENCE_SECONDS)
        try:
            return self._decode(data)
        finally:
            self.ended.append(data)


def predicting(service: Service, engine: Engine, **settings: Any) -> Predictor:
    """A separate queue for this engine."""
    predictor = Predictor(Settings.model_construct(None, **({"keep_uploads": 0} | settings)))
    predictor.swap(replace(service.predictor.champion, engine=engine))
    return predictor


async def happens(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, condition)


async def ask(predictor: Predictor, shades: Iterable[int]) -> list[Asking]:
    """Request each shade; all are in the queue on return."""
    asking = [asyncio.create_task(predictor.predict(photo(shade))) for shade in shades]
    await asyncio.sleep(0)  # lets the tasks begin
    return asking


async def behind_one(predictor: Predictor, engine: WatchedEngine, shades: Iterable[int]) -> list[Asking]:
    """Request each shade while the engine works on shade 0."""
    engine.let_go.clear()
    first = await ask(predictor, [0])
    await happens(lambda: engine.seen == [0])
    return first + await ask(predictor, shades)


async def in_time(predictor: Predictor, shade: int) -> None:
    """Repeat the request until it is answered within its short deadline, for busy machines."""
    while True:
        with suppress(Expired):
            await predictor.predict(photo(shade))
            return
