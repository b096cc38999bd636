"""VGG16 in OpenVINO: the engine for the processor."""

from copy import copy
from threading import Lock
from typing import Literal, Self

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as opset

from catdog import head
from catdog.architecture import INPUT_PIXELS, KERNEL_PIXELS, MEAN_BGR, POOL_PIXELS, Architecture
from catdog.engines import Arrays, Output, Precision

NCHW = (0, 3, 1, 2)
NHWC = (0, 2, 3, 1)
OIHW = (3, 2, 0, 1)  # OpenVINO's order of a kernel that Keras keeps as height, width, in, out


def build(architecture: Architecture, arrays: Arrays) -> ov.Model:
    """The network: uint8 RGB (n, 224, 224, 3) in, features (n, features) out; with the classic head logits, too.

    The pooled head is left to `catdog.head`.
    """
    pixels = opset.parameter([-1, INPUT_PIXELS, INPUT_PIXELS, 3], np.uint8, name="pixels")
    planes = opset.transpose(opset.convert(pixels, "f32"), NCHW)
    # The kernel of the first convolution is turned to RGB instead of every photo to BGR.
    mean_rgb = np.array(MEAN_BGR[::-1], np.float32).reshape(1, 3, 1, 1)
    x = opset.subtract(planes, mean_rgb)
    first = architecture.backbone_layers[0].name
    for block in architecture.blocks:
        for layer in block:
            kernel = arrays[f"{layer.name}/kernel"]
            if layer.name == first:
                kernel = kernel[:, :, ::-1]
            x = _convolution(x, kernel, arrays[f"{layer.name}/bias"])
        x = _maximum(x)
    features = opset.reduce_mean(x, [2, 3], keep_dims=False)
    results = [opset.result(features, name="features")]
    if architecture.head == "classic":
        results.append(opset.result(_classic_head(architecture, arrays, x), name="logits"))
    return ov.Model(results, [pixels], "vgg16")


def _convolution(x: ov.Node, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> ov.Node:
    pad = [KERNEL_PIXELS // 2] * 2
    weights = opset.constant(np.ascontiguousarray(kernel.transpose(OIHW)))  # an array itself takes 20 times as long
    summed = opset.convolution(x, weights, strides=[1, 1], pads_begin=pad, pads_end=pad, dilations=[1, 1])
    return opset.relu(opset.add(summed, bias.reshape(1, -1, 1, 1)))


def _maximum(x: ov.Node) -> ov.Node:
    window = [POOL_PIXELS] * 2
    return opset.max_pool(x, window, [1, 1], [0, 0], [0, 0], window).output(0)


def _classic_head(architecture: Architecture, arrays: Arrays, x: ov.Node) -> ov.Node:
    *hidden, predictions = architecture.head_layers
    inputs = hidden[0].kernel_shape[0]
    x = opset.reshape(opset.transpose(x, NHWC), [-1, inputs], special_zero=False)  # as Keras flattens
    for layer in hidden:
        x = opset.relu(_dense(x, arrays, layer.name))
    return _dense(x, arrays, predictions.name)


def _dense(x: ov.Node, arrays: Arrays, name: str) -> ov.Node:
    product = opset.matmul(x, opset.constant(np.ascontiguousarray(arrays[f"{name}/kernel"])), False, False)
    return opset.add(product, arrays[f"{name}/bias"].reshape(1, -1))


def best_precision() -> Precision:
    """bfloat16 where the processor computes in it, else float32."""
    return "bf16" if "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


class OpenVINOEngine:
    """Runs the network on the processor, one call at a time over all its threads.

    `threads` None takes every core that the process may use.
    """

    def __init__(
        self,
        architecture: Architecture,
        arrays: Arrays,
        precision: Literal["auto"] | Precision = "auto",
        threads: int | None = None,
    ) -> None:
        self.precision: Precision = best_precision() if precision == "auto" else precision
        options: dict[str, str | int] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.precision,
        }
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        compiled = ov.Core().compile_model(build(architecture, arrays), "CPU", options)
        self._request = compiled.create_infer_request()
        self._lock = Lock()
        self._head = _pooled_head(arrays) if architecture.head == "pooled" else None

    def with_head(self, arrays: Arrays) -> Self:
        """Another engine on this one's graph, with the pooled head in `arrays`: nothing is compiled or held twice.

        ValueError where the head is part of the graph.
        """
        if self._head is None:
            raise ValueError("only a pooled head can be replaced; the classic one is part of the graph")
        other = copy(self)
        other._head = _pooled_head(arrays)
        return other

    def infer(self, pixels: NDArray[np.uint8]) -> Output:
        with self._lock:  # there is one set of activations, and one call already takes every thread
            features, *logits = self._request.infer([pixels]).to_tuple()
        return Output(logits[0] if self._head is None else head.logits(features, self._head), features)


def _pooled_head(arrays: Arrays) -> Arrays:
    """What `catdog.head` needs, so that the backbone's arrays can go."""
    return {name: array for name, array in arrays.items() if name.startswith("predictions/")}
