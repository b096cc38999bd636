"""VGG16 in OpenVINO: the engine for processors."""

import logging
from copy import copy
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, Self

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as opset

from catdog.engines.engine import Asked, Explained, Output, Precision
from catdog.network import head
from catdog.network.architecture import (
    INPUT_PIXELS,
    KERNEL_PIXELS,
    MEAN_BGR,
    POOL_PIXELS,
    Architecture,
    Arrays,
    Network,
)
from catdog.system import resources, signal_stack

logger = logging.getLogger(__name__)

NCHW = (0, 3, 1, 2)
NHWC = (0, 2, 3, 1)
OIHW = (3, 2, 0, 1)  # OpenVINO's order of a kernel; Keras's is height, width, in, out


def build(architecture: Architecture, arrays: Arrays) -> ov.Model:
    """Build the network: uint8 RGB (n, 224, 224, 3) in, features (n, features) out; with the classic head also logits.

    The pooled head is computed by `catdog.network.head`.
    """
    pixels = opset.parameter([-1, INPUT_PIXELS, INPUT_PIXELS, 3], np.uint8, name="pixels")
    planes = opset.transpose(opset.convert(pixels, "f32"), NCHW)
    # The kernel of the first convolution is reordered to RGB, instead of every photo to BGR.
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
    x = opset.reshape(opset.transpose(x, NHWC), [-1, inputs], special_zero=False)  # Keras's order of flattening
    for layer in hidden:
        x = opset.relu(_dense(x, arrays, layer.name))
    return _dense(x, arrays, predictions.name)


def _dense(x: ov.Node, arrays: Arrays, name: str) -> ov.Node:
    product = opset.matmul(x, opset.constant(np.ascontiguousarray(arrays[f"{name}/kernel"])), False, False)
    return opset.add(product, arrays[f"{name}/bias"].reshape(1, -1))


def precision_of(network: Network, asked: Asked = "auto") -> Precision:
    """The precision for `asked`: "auto" is int8 if the network has such a graph, else bfloat16, else float32.

    int8 and bfloat16 are used only if the processor supports them.
    """
    if asked != "auto":
        return asked
    if network.int8 is not None and computes_in("INT8"):
        return "int8"
    return "bf16" if computes_in("BF16") else "f32"


def computes_in(capability: Literal["INT8", "BF16"]) -> bool:
    """Whether the processor supports this precision."""
    return capability in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVINOEngine(head.ReplaceableHead):
    """Runs the network on the processor in two ways: one call on all threads, or several calls that share them.

    The first has the lowest latency; the second the highest throughput, because threads that work on the same photo
    wait for each other. `threads` None uses every core available to the process; `streams` is the number of calls that
    share them, None for OpenVINO's choice. Compiled networks are cached in the folder `cache`. ValueError if int8 is
    requested for a network without such a graph.
    """

    largest_batch = 1  # a batch is not faster than single photos, and needs memory for all its activations

    def __init__(
        self,
        network: Network,
        precision: Asked = "auto",
        threads: int | None = None,
        streams: int | None = 1,
        cache: Path | None = None,
    ) -> None:
        self.precision = precision_of(network, precision)
        options: dict[str, str | int] = {
            "INFERENCE_NUM_THREADS": threads or resources.usable_cores(),
            "ENABLE_CPU_PINNING": False,
            # The layers that aren't in int8 take little time in float32, which is the same on every processor.
            "INFERENCE_PRECISION_HINT": "f32" if self.precision == "int8" else self.precision,
        }
        if cache is not None and _is_folder(cache):
            options |= {"CACHE_DIR": str(cache), "CACHE_MODE": "OPTIMIZE_SIZE"}
            if (
                self.precision == "int8" and network.int8 is not None
            ):  # otherwise the cached network is never found again
                options["WEIGHTS_PATH"] = str(network.int8.path.with_suffix(".bin"))
        graph = _graph(network, self.precision)
        with signal_stack.kept():
            alone = ov.Core().compile_model(graph, "CPU", options | {"PERFORMANCE_HINT": "LATENCY"})
        self.was_cached = bool(alone.get_property("LOADED_FROM_CACHE"))
        self._alone = self._shared = _Requests(alone, 1)
        self.streams = 1
        if streams != 1:
            limit: dict[str, str | int] = {} if streams is None else {"NUM_STREAMS": streams}
            with signal_stack.kept():
                shared = ov.Core().compile_model(graph, "CPU", options | {"PERFORMANCE_HINT": "THROUGHPUT"} | limit)
            self.streams = int(shared.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            self._shared = _Requests(shared, self.streams)
        self._head = head.of(network.arrays) if network.architecture.head == "pooled" else None

    def alone(self) -> Self:
        """An engine that shares this one's graph and has only the first way."""
        other = copy(self)
        other._shared, other.streams = self._alone, 1
        return other

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        requests = self._shared if shared else self._alone
        if self._head is None:
            features, logits = requests.infer(pixels, 2)
            return Output(logits, features)
        (features,) = requests.infer(pixels, 1)
        return Output(head.logits(features, self._head), features)

    def explain(self, pixels: NDArray[np.uint8], shared: bool = False) -> Explained:
        if self._head is None:
            raise ValueError("only a pooled head has class activation maps")
        features, planes = (self._shared if shared else self._alone).infer(pixels, 2)
        maps = head.activation_maps(planes.transpose(NHWC), self._head)
        return Explained(Output(head.logits(features, self._head), features), maps, self._head[head.BIAS])


class _Requests:
    """A pool of inference requests (sets of activations) of one compiled graph, each for one call at a time."""

    def __init__(self, compiled: ov.CompiledModel, count: int) -> None:
        self._free: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(count):
            self._free.put(compiled.create_infer_request())

    def __del__(self) -> None:
        with signal_stack.kept():
            self.__dict__.clear()  # the last reference to the graph

    def infer(self, pixels: NDArray[np.uint8], outputs: int) -> list[NDArray[np.float32]]:
        """The first `outputs` outputs of the graph.

        The request keeps its input, and is asked for its outputs one by one. With arguments, `infer` would make a new
        input, to which the graph is bound again, and a dictionary of all outputs.
        """
        request = self._free.get()
        try:
            kept = request.get_input_tensor()
            if tuple(kept.shape) != pixels.shape:
                kept.shape = pixels.shape
            kept.data[:] = pixels
            request.infer(share_outputs=True)
            return [request.get_output_tensor(place).data.copy() for place in range(outputs)]
        finally:
            self._free.put(request)


def _graph(network: Network, precision: Precision) -> ov.Model:
    if precision != "int8":
        graph = build(network.architecture, network.arrays)
    elif network.int8 is not None:
        graph = ov.Core().read_model(network.int8.path)
    else:
        raise ValueError("the network has no int8 graph")
    if (
        network.architecture.head == "pooled"
    ):  # costs `infer` almost nothing: 1.955 instead of 1.945 ms of a core in int8
        (average,) = (node for node in graph.get_ops() if node.get_type_name() == "ReduceMean")
        graph.add_results([opset.result(average.input_value(0), name="planes")])  # (n, features, 7, 7)
    return graph


def _is_folder(cache: Path) -> bool:
    """Whether the folder exists or could be created: without it OpenVINO fails, although it doesn't need to write."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        logger.warning("compiled networks aren't cached: %s", error)
        return False
    return True
