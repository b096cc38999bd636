import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.errors import NoFile, NotReady
from app.serving.prediction import Prediction
from app.serving.predictor import Predictor
from app.settings import Settings
from catdog.engines.engine import Engine, Explained, Output, Precision
from catdog.errors import UnsupportedImage
from catdog.network.architecture import Arrays
from tests.app.service import Service, encoded

WHITE = encoded(Image.new("L", (32, 32), "white"), "PNG")
BLACK = encoded(Image.new("L", (32, 32), "black"), "PNG")


class RecordingEngine:
    """A real engine that records the brightness of its photos."""

    streams = 1
    largest_batch = 1

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.seen: list[float] = []

    @property
    def precision(self) -> Precision:
        return self.engine.precision

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        self.seen.append(float(pixels.mean()))
        return self.engine.infer(pixels, shared)

    def explain(self, pixels: NDArray[np.uint8], shared: bool = False) -> Explained:
        return self.engine.explain(pixels, shared)

    def with_head(self, arrays: Arrays) -> Engine:
        return self.engine.with_head(arrays)


def recording(service: Service) -> tuple[Predictor, RecordingEngine]:
    champion = service.predictor.champion
    engine = RecordingEngine(champion.engine)
    predictor = Predictor(Settings(keep_uploads=0))
    predictor.swap(replace(champion, engine=engine))
    return predictor, engine


def test_a_predictor_without_a_champion_says_why() -> None:
    with pytest.raises(NotReady, match="the model is being loaded"):
        asyncio.run(Predictor(Settings(keep_uploads=0)).predict(WHITE))


@pytest.mark.parametrize("ask", [Predictor.predict, lambda predictor, photo: predictor.predict_each([photo])])
def test_a_photo_is_inferred_once(service: Service, ask: Callable[..., Coroutine[Any, Any, object]]) -> None:
    predictor, engine = recording(service)

    asyncio.run(ask(predictor, WHITE))

    assert engine.seen == [255]


def test_a_batch_gives_errors_in_their_places(service: Service) -> None:
    predictor, engine = recording(service)
    no_file = NoFile()

    first, second, third = asyncio.run(predictor.predict_each([no_file, WHITE, b"no photo"]))

    assert first is no_file
    assert isinstance(second, Prediction)
    assert isinstance(third, UnsupportedImage)
    assert engine.seen == [255]


def test_a_batch_lets_others_have_their_turn(service: Service) -> None:
    predictor, engine = recording(service)

    async def both() -> None:
        batch = asyncio.create_task(predictor.predict_each([BLACK] * 40))
        await asyncio.sleep(0)  # lets the batch run first
        await asyncio.gather(batch, predictor.predict(WHITE))

    asyncio.run(both())

    assert len(engine.seen) == 41
    assert engine.seen.index(255) <= 3 * (engine.streams + 1)
