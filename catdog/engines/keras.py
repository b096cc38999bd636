"""VGG16 in Keras: the reference engine, and the engine for GPUs."""

from threading import Lock
from typing import Any, Final

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from catdog.engines.engine import Asked, Explained, Output, Precision
from catdog.network import head
from catdog.network.architecture import (
    BLOCKS,
    INPUT_PIXELS,
    KERNEL_PIXELS,
    MEAN_BGR,
    POOL_PIXELS,
    Architecture,
    Arrays,
    Network,
)

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)  # a call's photos are padded to one of these, each compiled once
POLICIES: Final[dict[Precision, str]] = {"f32": "float32", "bf16": "mixed_bfloat16"}


@keras.saving.register_keras_serializable(package="catdog")
class Preprocessing(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Converts RGB 0-255 of any dtype to floating BGR minus ImageNet's mean, as the published weights expect."""

    def call(self, pixels: Any) -> Any:
        bgr = ops.flip(ops.cast(pixels, self.compute_dtype), axis=-1)
        return bgr - ops.cast(ops.convert_to_tensor(MEAN_BGR, dtype="float32"), self.compute_dtype)


def build(
    architecture: Architecture,
    policy: str = "float32",
    dropout: float = 0.0,
    kernels: str = "glorot_uniform",
    side: int | None = INPUT_PIXELS,
) -> keras.Model:
    """Build the network: RGB 0-255 (n, side, side, 3) in, [logits (n, classes), features (n, features)] out.

    `policy` is a Keras dtype policy such as "mixed_bfloat16"; logits and features are always float32.
    `dropout` is applied before every dense layer, in training only. `kernels` is Keras's initializer of the kernels;
    use "zeros" if all will be assigned, because JAX compiles random numbers for every shape. With `side` None the
    network accepts pictures of any size, which the classic head can't.
    """
    pixels = keras.Input((side, side, 3), dtype="uint8", name="pixels")
    x = Preprocessing(dtype=policy, name="preprocessing")(pixels)
    for block, convolutions in zip(BLOCKS, architecture.blocks, strict=True):
        for layer in convolutions:
            channels = layer.kernel_shape[-1]
            x = layers.Conv2D(
                channels,
                KERNEL_PIXELS,
                padding="same",
                activation="relu",
                kernel_initializer=kernels,
                dtype=policy,
                name=layer.name,
            )(x)
        x = layers.MaxPooling2D(POOL_PIXELS, dtype=policy, name=f"{block.name}_pool")(x)
    features = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    x = features if architecture.head == "pooled" else layers.Flatten(dtype=policy, name="flatten")(x)
    *hidden, predictions = architecture.head_layers
    for layer in hidden:
        x = layers.Dropout(dropout, dtype=policy)(x) if dropout else x
        units = layer.kernel_shape[-1]
        x = layers.Dense(units, activation="relu", kernel_initializer=kernels, dtype=policy, name=layer.name)(x)
    x = layers.Dropout(dropout, dtype=policy)(x) if dropout else x
    last = layers.Dense(architecture.classes, kernel_initializer=kernels, dtype="float32", name=predictions.name)
    return keras.Model(pixels, [last(x), features], name="vgg16")


def assign(model: keras.Model, arrays: Arrays) -> None:
    """Assign `arrays` to the layers of `model` with their names; layers without an array are unchanged."""
    for layer in {name.split("/")[0] for name in arrays}:
        model.get_layer(layer).set_weights([arrays[f"{layer}/kernel"], arrays[f"{layer}/bias"]])


def arrays(model: keras.Model, architecture: Architecture) -> dict[str, NDArray[np.float32]]:
    """The arrays of every layer of the architecture: the reverse of `assign`."""
    names = (f"{layer.name}/{array}" for layer in architecture.layers for array in ("kernel", "bias"))
    values = (value for layer in architecture.layers for value in model.get_layer(layer.name).get_weights())
    return {name: np.asarray(value, np.float32) for name, value in zip(names, values, strict=True)}


def has_accelerator() -> bool:
    """Whether Keras's backend uses an accelerator."""
    if keras.backend.backend() == "torch":  # Keras doesn't list its devices
        return bool(ops.zeros(1).device.type != "cpu")
    return not keras.distribution.list_devices()[0].startswith("cpu")


def device() -> str:
    """Keras's backend and device, as text."""
    return f"Keras with {keras.backend.backend()} on {'a GPU' if has_accelerator() else 'the processor'}"


def precision_of(asked: Asked = "auto") -> Precision:
    """The precision for `asked`: "auto" is bfloat16 on an accelerator, else float32. ValueError for int8."""
    if asked == "int8":
        raise ValueError("Keras doesn't run the int8 graph, OpenVINO does; ask for auto, bf16 or f32")
    if asked != "auto":
        return asked
    return "bf16" if has_accelerator() else "f32"


class KerasEngine(head.ReplaceableHead):
    """Runs the Keras network on Keras's backend and device, one call at a time.

    `largest_batch` is one of BATCH_SIZES; None is 64 on an accelerator and 1 on a processor, where batches are hardly
    faster than single photos and every padding photo costs as much as a real one. ValueError if int8 is requested.
    """

    streams = 1

    def __init__(self, network: Network, precision: Asked = "auto", largest_batch: int | None = None) -> None:
        self.precision = precision_of(precision)
        self.largest_batch = largest_batch or (BATCH_SIZES[-1] if has_accelerator() else 1)
        self._sizes = BATCH_SIZES[: BATCH_SIZES.index(self.largest_batch) + 1]
        self._model = build(network.architecture, POLICIES[self.precision], kernels="zeros")
        assign(self._model, network.arrays)
        places = self._model.get_layer(f"{BLOCKS[-1].name}_pool").output
        self._explaining = keras.Model(self._model.inputs, [self._model.get_layer("features").output, places])
        self._head = head.of(network.arrays) if network.architecture.head == "pooled" else None
        self._lock = Lock()  # on JAX a model has no weights while it predicts

    def warm(self) -> None:
        """Run every batch size once, so that no request has to wait for compiling."""
        for size in self._sizes:
            self._run(np.zeros((size, INPUT_PIXELS, INPUT_PIXELS, 3), np.uint8))

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        starts = range(0, len(pixels), self.largest_batch)
        parts = [self._run(pixels[start : start + self.largest_batch]) for start in starts]
        logits, features = (np.concatenate(outputs) for outputs in zip(*parts, strict=True))
        return Output(logits if self._head is None else head.logits(features, self._head), features)

    def explain(self, pixels: NDArray[np.uint8], shared: bool = False) -> Explained:
        """One photo after another; compiled at the first call."""
        if self._head is None:
            raise ValueError("only a pooled head has class activation maps")
        with self._lock:
            parts = [self._explaining.predict_on_batch(photo[np.newaxis]) for photo in pixels]
        features, places = (np.concatenate(outputs).astype(np.float32) for outputs in zip(*parts, strict=True))
        output = Output(head.logits(features, self._head), features)
        return Explained(output, head.activation_maps(places, self._head), self._head[head.BIAS])

    def _run(self, pixels: NDArray[np.uint8]) -> Output:
        """The output for at most `largest_batch` photos, padded to a compiled size."""
        size = next(size for size in self._sizes if size >= len(pixels))
        batch = pixels
        if len(pixels) < size:
            batch = np.zeros((size, *pixels.shape[1:]), np.uint8)
            batch[: len(pixels)] = pixels
        with self._lock:
            logits, features = self._model.predict_on_batch(batch)
        return Output(logits[: len(pixels)], features[: len(pixels)])
