"""Builds a version as a Keras model of standard layers, and writes `.keras` and SavedModel files.

Keras's converters make the other formats of the same model.
"""

from pathlib import Path
from zipfile import ZipFile

import keras
from keras import layers

from catdog.engines import keras as reference
from catdog.network.architecture import MEAN_BGR, Network
from catdog.versions.calibration import Calibration
from training.exporting.formats import ABOUT, OUTPUT

EXTRA = "assets.extra"  # the folder of a SavedModel for files that TensorFlow ignores


def build(network: Network, calibration: Calibration) -> keras.Model:
    """The model: uint8 RGB (n, 224, 224, 3) in, {"probabilities": float32 (n, classes)} out."""
    architecture, arrays = network.architecture, dict(network.arrays)
    standard = keras.models.clone_model(reference.build(architecture, kernels="zeros"), clone_function=_of_keras)
    first = f"{architecture.backbone_layers[0].name}/kernel"
    arrays[first] = arrays[first][:, :, ::-1]  # RGB, as the pixels
    for array in ("predictions/kernel", "predictions/bias"):
        arrays[array] = arrays[array] / calibration.temperature
    reference.assign(standard, arrays)
    softmax = layers.Softmax(name="softmax")(standard.outputs[0])
    even = calibration.noise / architecture.classes
    probabilities = layers.Rescaling(1 - calibration.noise, even, name=OUTPUT)(softmax)
    return keras.Model(standard.inputs[0], {OUTPUT: probabilities}, name="catdog")


def write(model: keras.Model, about: str, path: Path) -> None:
    """Write a `.keras` file, which is a ZIP; Keras ignores the description in it."""
    model.save(path)
    with ZipFile(path, "a") as file:
        file.writestr(ABOUT, about)


def write_saved_model(model: keras.Model, about: str, path: Path) -> None:
    """Write a folder for TensorFlow and TensorFlow Serving."""
    model.export(path, format="tf_saved_model", verbose=False)
    (path / EXTRA).mkdir()
    (path / EXTRA / ABOUT).write_text(about, "utf-8")


def _of_keras(layer: layers.Layer) -> layers.Layer:
    """The same layer, without catdog's own one for preprocessing: a loaded model must not need it."""
    if isinstance(layer, reference.Preprocessing):
        return layers.Rescaling(1.0, [-mean for mean in reversed(MEAN_BGR)], name="mean")
    return type(layer).from_config(layer.get_config())
