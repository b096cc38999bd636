"""The way a tutorial serves a Keras model: `PORT=8001 python -m benchmarks.tutorial_service models/1`.

FastAPI, the weights loaded once at the start, and in the route Pillow, `preprocess_input` and `model.predict`. The
network and the weights are those of a version of ours, so only the way to serve them differs.
"""

import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile
from keras.applications.vgg16 import preprocess_input
from PIL import Image

from catdog.engines.keras import build
from catdog.version import Version


def load_model(version: Version) -> keras.Model:
    """VGG16 as Keras ships it: preprocessed photos in, probabilities out."""
    network = build(version.manifest.architecture)
    network.load_weights(version.weights_path)
    logits, _ = network.outputs
    probabilities = keras.layers.Softmax()(logits / version.manifest.temperature)
    return keras.Model(network.get_layer("preprocessing").output, probabilities)


def create_app(version: Version) -> FastAPI:
    model = load_model(version)
    classes = version.manifest.classes
    app = FastAPI()

    @app.post("/predict")
    async def predict(file: UploadFile) -> dict[str, Any]:
        photo = Image.open(BytesIO(await file.read())).convert("RGB").resize((224, 224))
        batch = preprocess_input(np.expand_dims(np.asarray(photo, np.float32), 0))
        row = model.predict(batch, verbose=0)[0]
        probabilities = dict(zip(classes, map(float, row), strict=True))
        return {"label": classes[int(np.argmax(row))], "probabilities": probabilities}

    return app


def main() -> None:
    path = Path(sys.argv[1]).resolve()
    uvicorn.run(create_app(Version.read(int(path.name), path)), host="127.0.0.1", port=int(os.environ["PORT"]))


if __name__ == "__main__":
    main()
