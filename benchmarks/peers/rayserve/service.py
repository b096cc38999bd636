"""Ray Serve: one replica, with `@serve.batch`.

`PORT=8001 python -m benchmarks.peers.rayserve.service models/1`
"""

import os
import sys
from typing import Any

import numpy as np
import ray  # it has a separate environment
from numpy.typing import NDArray
from PIL import Image
from ray import serve
from starlette.requests import Request

from benchmarks.peers import BATCH, BATCH_WAIT_SECONDS

CORES = os.cpu_count() or 1


@serve.deployment(max_ongoing_requests=8 * BATCH, ray_actor_options={"num_cpus": CORES})
class Classifier:
    def __init__(self, path: str) -> None:
        from benchmarks.peers import network  # here, so that the replica alone holds TensorFlow

        version = network.read(path)
        self._network = network
        self._classes = version.manifest.classes
        self._model = network.load_model(version)

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_SECONDS)  # type: ignore[untyped-decorator]
    async def classify(self, photos: list[NDArray[np.float32]]) -> list[dict[str, Any]]:
        rows = self._model.predict_on_batch(np.stack(photos))
        return [self._network.answer(self._classes, row) for row in rows]

    async def __call__(self, request: Request) -> dict[str, Any]:
        form: Any = await request.form()
        found: dict[str, Any] = await self.classify(self._network.preprocess(Image.open(form["file"].file)))
        return found


if __name__ == "__main__":
    ray.init(include_dashboard=False, num_cpus=CORES)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    classifier = Classifier.bind(sys.argv[1])  # type: ignore[attr-defined]  # mypy ignores class decorators
    serve.run(classifier, route_prefix="/predict", blocking=True)
