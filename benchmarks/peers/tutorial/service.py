"""A tutorial's way to serve Keras: FastAPI, weights loaded at the start, `predict` in the route.

`PORT=8001 python -m benchmarks.peers.tutorial.service models/1`
"""

import os
import sys
from io import BytesIO
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

from benchmarks.peers.network import answer, load_model, preprocess, read
from catdog.versions.version import Version


def create_app(version: Version) -> FastAPI:
    model = load_model(version)
    app = FastAPI()

    @app.post("/predict")
    async def predict(file: UploadFile) -> dict[str, Any]:
        pixels = preprocess(Image.open(BytesIO(await file.read())))
        (row,) = model.predict(np.expand_dims(pixels, 0), verbose=0)
        return answer(version.manifest.classes, row)

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(read(sys.argv[1])), host="127.0.0.1", port=int(os.environ["PORT"]))
