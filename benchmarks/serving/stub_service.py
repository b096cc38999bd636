"""Runs the service without decoding and inference: `stub_service CORE [PART]`.

Both are replaced by stubs that return at once. It runs on the one core with the given number. Its version must have no
golden answers, because the answer is the same for every photo. With PART, a name of WITHOUT, more of it is replaced.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRouter
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from app.__main__ import serve
from app.serving import loader
from app.serving.prediction import Prediction
from app.serving.prediction_log import PredictionLog
from app.serving.predictor import Predictor
from app.web import uploads
from catdog import images
from catdog.engines.engine import Output
from catdog.engines.openvino import OpenVINOEngine
from catdog.network.architecture import INPUT_PIXELS

GREY = np.full((INPUT_PIXELS, INPUT_PIXELS, 3), 128, np.uint8)


class Stub(OpenVINOEngine):
    """Returns the network's output for the first photo for every photo."""

    _said: Output | None = None

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        self._said = self._said or super().infer(pixels)
        return self._said


def decode(data: bytes, pixels: int = INPUT_PIXELS) -> NDArray[np.uint8]:
    return GREY


def install() -> None:
    """Replace both in this process."""
    loader.OpenVINOEngine = Stub  # type: ignore[attr-defined]
    images.decode = decode


ANSWER = Prediction(
    label="cat",
    probability=0.75,
    probabilities={"cat": 0.75, "dog": 0.25},
    model_version=1,
    prediction_id="187f3c5b8a1d2e4f0a1b2c3d4e5f6071",
)
App = Callable[[Any, Scope, Receive, Send], Awaitable[None]]


async def predict(*_: object) -> Prediction:
    return ANSWER


async def read(request: Request, *_: object) -> bytes:
    return await request.body()


def answering(app: App) -> App:
    """An app that reads and answers predictions itself."""

    async def answer(self: object, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/predict":
            return await app(self, scope, receive, send)
        while (await receive()).get("more_body"):
            pass
        return await Response(ANSWER.model_dump_json(), media_type="application/json")(scope, receive, send)

    return answer


def _replace(where: Any, name: str, by: object) -> Callable[[], None]:
    return lambda: setattr(where, name, by)


# More and more parts of a request, from the last one on.
WITHOUT = {
    "without the photos kept for feedback": _replace(PredictionLog, "add", lambda *_: None),
    "without the queue and its threads": _replace(Predictor, "predict", predict),
    "without parsing the form": _replace(uploads, "read_photo", read),
    "without the route and its dependencies": _replace(APIRouter, "app", answering(APIRouter.app)),
    "without the middleware: the server alone": _replace(FastAPI, "__call__", answering(FastAPI.__call__)),
}


def install_without(part: str) -> None:
    """Replace this part, and those that come after it in a request."""
    for replace in list(WITHOUT.values())[: list(WITHOUT).index(part) + 1]:
        replace()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    install()
    for wanted in sys.argv[2:]:
        install_without(wanted)
    serve()
