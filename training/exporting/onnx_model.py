"""Writes a version as ONNX, which most runtimes read."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from training.exporting.formats import INPUT

BATCH = "n"  # the name of the first dimension


def write(model: keras.Model, about: str, photos: NDArray[np.uint8] | None, path: Path) -> None:
    """Write an `.onnx` file; in int8 if there are `photos` (n, 224, 224, 3) that set the ranges of activations.

    The description is in its metadata: one property for each fact, as JSON.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's patch of tf2onnx looks for what NumPy 2 removed
        signature = [keras.InputSpec(shape=pixels.shape, dtype=pixels.dtype, name=INPUT) for pixels in model.inputs]
        model.export(path, format="onnx", verbose=False, input_signature=signature)
    if photos is not None:
        _quantize(path, photos)
    made = onnx.load(path)
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    onnx.helper.set_model_props(made, {fact: json.dumps(value) for fact, value in json.loads(about).items()})
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, path)


def _quantize(path: Path, photos: NDArray[np.uint8]) -> None:
    """Replace the file by one with int8 convolutions; the rest stays in float32, as in the graph of the service."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends a step that changes nothing in this network
    try:
        quantize_static(path, path, _Photos(photos), op_types_to_quantize=["Conv", "MaxPool"], per_channel=True)
    finally:
        root.setLevel(level)


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Photos, one at a time."""

    def __init__(self, photos: NDArray[np.uint8]) -> None:
        self._photos = iter(photos)

    def get_next(self) -> dict[str, Any] | None:
        photo = next(self._photos, None)
        return None if photo is None else {INPUT: photo[np.newaxis]}
