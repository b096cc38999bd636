"""BentoML: one worker, whose dispatcher chooses the batch sizes.

`PORT=8001 python -m benchmarks.peers.bentoml.service models/1`
"""

import os
import sys
from typing import Any

import bentoml  # type: ignore[import-not-found]  # it has a separate environment
import numpy as np
from PIL import Image

from benchmarks.peers import BATCH

VERSION = "VERSION_PATH"  # environment variable that passes it to the service's processes


@bentoml.service(workers=1)
class Classifier:
    def __init__(self) -> None:
        from benchmarks.peers import network  # here, so that the worker alone holds TensorFlow

        version = network.read(os.environ[VERSION])
        self._network = network
        self._classes = version.manifest.classes
        self._model = network.load_model(version)

    @bentoml.api(batchable=True, max_batch_size=BATCH)  # type: ignore[untyped-decorator]
    def predict(self, file: list[Image.Image]) -> list[dict[str, Any]]:
        pixels = np.stack([self._network.preprocess(photo) for photo in file])
        return [self._network.answer(self._classes, row) for row in self._model.predict_on_batch(pixels)]


if __name__ == "__main__":
    serve = ("serve", f"{__spec__.name}:Classifier", "--host", "127.0.0.1", "--port", os.environ["PORT"])
    os.environ[VERSION] = sys.argv[1]
    os.execv(sys.executable, (sys.executable, "-m", "bentoml", *serve))  # noqa: S606
