"""Writes a version for OpenVINO, without TensorFlow: the graph that the service runs, and the head."""

import json
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as opset

from catdog.engines import openvino as engine
from catdog.network import head
from catdog.network.architecture import Network
from catdog.versions.calibration import Calibration
from catdog.versions.version import Version
from training.exporting.formats import INPUT, OUTPUT, Precision

FILE = "model.xml"  # in the folder; the constants are in the .bin
SECTION = "catdog"  # of the runtime information, with the description


def write(version: Version, precision: Precision, about: str, folder: Path) -> None:
    """Write a folder with `model.xml` and `model.bin`; in int8 by the version's own graph."""
    network = version.network("int8" if precision == "int8" else "f32")
    model = _with_head(network, version.manifest.calibration)
    for fact, value in json.loads(about).items():
        model.set_rt_info(json.dumps(value), [SECTION, fact])
    folder.mkdir()
    try:
        ov.save_model(model, folder / FILE, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(f"{folder} can't be written ({error}); free disk space") from error


def _with_head(network: Network, calibration: Calibration) -> ov.Model:
    """The network with its head and calibration: uint8 RGB (n, 224, 224, 3) in, probabilities (n, classes) out."""
    architecture, arrays = network.architecture, network.arrays
    graph = engine.build(architecture, arrays) if network.int8 is None else ov.Core().read_model(network.int8.path)
    outputs = [result.input_value(0) for result in graph.get_results()]
    if architecture.head == "pooled":
        product = opset.matmul(outputs[0], opset.constant(arrays[head.KERNEL]), False, False)
        logits = opset.add(product, opset.constant(arrays[head.BIAS].reshape(1, -1)))
    else:
        logits = outputs[1]
    softmax = opset.softmax(opset.divide(logits, np.float32(calibration.temperature)), 1)
    even = np.float32(calibration.noise / architecture.classes)
    probabilities = opset.add(opset.multiply(softmax, np.float32(1 - calibration.noise)), even)
    model = ov.Model([opset.result(probabilities)], graph.get_parameters(), "catdog")
    model.inputs[0].get_tensor().set_names({INPUT})
    model.outputs[0].get_tensor().set_names({OUTPUT})
    return model
