"""Writes a version for TensorFlow Lite, now LiteRT: phones and small devices."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from zipfile import ZipFile

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.exporting.formats import ABOUT, INPUT

# What stays in float32: all but the convolutions and the pooling between them, as in the graph that the service runs.
IN_FLOAT: Final = ["ADD", "FULLY_CONNECTED", "MEAN", "MUL", "SOFTMAX"]


def write(model: keras.Model, about: str, photos: NDArray[np.uint8] | None, path: Path) -> None:
    """Write a `.tflite` file; in int8 if there are `photos` (n, 224, 224, 3) that set the ranges of activations.

    Files that belong to a model are in a ZIP at the end of it, as in Google's metadata; the interpreter ignores them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter uses what TensorFlow deprecates
        if photos is None:
            model.export(path, format="litert", verbose=False)
        else:
            path.write_bytes(_quantized(model, photos))
    with ZipFile(path, "a") as file:
        file.writestr(ABOUT, about)


def _quantized(model: keras.Model, photos: NDArray[np.uint8]) -> bytes:
    """TensorFlow's debugger of quantization is its way to leave operations out of it."""

    def each() -> Iterator[dict[str, NDArray[np.uint8]]]:
        for photo in photos:
            yield {INPUT: photo[np.newaxis]}

    with TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = each
        options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=IN_FLOAT)
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=each, debug_options=options
        )
        quantized: bytes = debugger.get_nondebug_quantized_model()
    return quantized
