"""Runs an exported model in the runtime that it was written for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.exporting.formats import INPUT, OUTPUT, Format

# From uint8 RGB (n, 224, 224, 3) to probabilities float32 (n, classes).
Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def opened(path: Path, format: Format) -> Answer:
    """The model at `path`; ImportError if its runtime isn't installed."""
    return {
        "onnx": _onnx,
        "saved_model": _saved_model,
        "tflite": _tflite,
        "openvino": _openvino,
        "keras": _keras,
    }[format](path)


def _onnx(path: Path) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    return lambda pixels: session.run([OUTPUT], {INPUT: pixels})[0]


def _saved_model(path: Path) -> Answer:
    import keras

    layer = keras.layers.TFSMLayer(path, call_endpoint="serving_default")
    return lambda pixels: np.asarray(layer(pixels)[OUTPUT])


def _tflite(path: Path) -> Answer:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()
    return lambda pixels: run(**{INPUT: pixels})[OUTPUT]


def _openvino(path: Path) -> Answer:
    import openvino as ov

    from training.exporting.openvino_model import FILE

    # As the service does: else a processor with bfloat16 would use it.
    compiled = ov.Core().compile_model(path / FILE, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda pixels: np.array(compiled([pixels])[OUTPUT])


def _keras(path: Path) -> Answer:
    import keras

    model = keras.saving.load_model(path)
    return lambda pixels: model.predict(pixels, verbose=0)[OUTPUT]
