"""The network that the compared servers run."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.applications.vgg16 import preprocess_input
from numpy.typing import NDArray
from PIL import Image

from catdog.engines.keras import build
from catdog.network.architecture import INPUT_PIXELS
from catdog.versions.version import Version


def read(path: str) -> Version:
    """The version in a directory of a store."""
    folder = Path(path).resolve()
    return Version.read(int(folder.name), folder)


def load_model(version: Version) -> keras.Model:
    """VGG16 as Keras ships it: preprocessed photos (n, 224, 224, 3) in, probabilities (n, classes) out."""
    network = build(version.manifest.architecture)
    network.load_weights(version.weights_path)
    logits, _ = network.outputs
    noise = version.manifest.noise
    softmax = keras.layers.Softmax()(logits / version.manifest.temperature)
    probabilities = softmax * (1 - noise) + noise / len(version.manifest.classes)
    return keras.Model(network.get_layer("preprocessing").output, probabilities)


def preprocess(photo: Image.Image) -> NDArray[np.float32]:
    """The input of `load_model` for one photo (224, 224, 3)."""
    resized = photo.convert("RGB").resize((INPUT_PIXELS, INPUT_PIXELS))
    pixels: NDArray[np.float32] = preprocess_input(np.array(resized, np.float32))
    return pixels


def answer(classes: tuple[str, ...], row: NDArray[np.float32]) -> dict[str, Any]:
    """The answer for one photo's probabilities (classes,)."""
    label = classes[int(np.argmax(row))]
    return {"label": label, "probabilities": dict(zip(classes, map(float, row), strict=True))}
