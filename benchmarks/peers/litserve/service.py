"""LitServe: one worker process, which decodes photos and runs them in batches.

`PORT=8001 python -m benchmarks.peers.litserve.service models/1`
"""

import os
import sys
from typing import Any

import litserve  # type: ignore[import-not-found]  # it has a separate environment
import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from PIL import Image

from benchmarks.peers import BATCH, BATCH_WAIT_SECONDS


class Classifier(litserve.LitAPI):  # type: ignore[misc]
    def __init__(self, path: str) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=BATCH_WAIT_SECONDS)
        self._path = path

    def setup(self, device: str) -> None:
        from benchmarks.peers import network  # here, so that the worker alone holds TensorFlow

        version = network.read(self._path)
        self._network = network
        self._classes = version.manifest.classes
        self._model = network.load_model(version)

    def decode_request(self, request: Request) -> NDArray[np.float32]:
        form: Any = request  # LitServe passes the form's fields
        return self._network.preprocess(Image.open(form["file"].file))

    def batch(self, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.stack(inputs)

    def predict(self, pixels: NDArray[np.float32]) -> Any:
        return self._model.predict_on_batch(pixels)

    def unbatch(self, output: Any) -> Any:
        return list(output)

    def encode_response(self, output: NDArray[np.float32]) -> dict[str, Any]:
        return self._network.answer(self._classes, output)


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(sys.argv[1]), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False)
