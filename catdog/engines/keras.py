"""VGG16 in Keras: the reference that every other engine is held to, and the engine for a GPU."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from catdog.architecture import BLOCKS, INPUT_PIXELS, KERNEL_PIXELS, MEAN_BGR, POOL_PIXELS, Architecture
from catdog.engines import Arrays, Output, Precision


@keras.saving.register_keras_serializable(package="catdog")
class Preprocessing(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """RGB 0-255 of any dtype to floating BGR with ImageNet's mean subtracted, as the published weights expect."""

    def call(self, pixels: Any) -> Any:
        bgr = ops.flip(ops.cast(pixels, self.compute_dtype), axis=-1)
        return bgr - ops.cast(ops.convert_to_tensor(MEAN_BGR, dtype="float32"), self.compute_dtype)


def build(architecture: Architecture, policy: str = "float32", dropout: float = 0.0) -> keras.Model:
    """The network: RGB 0-255 (n, 224, 224, 3) in, [logits (n, classes), features (n, features)] out.

    `policy` is a Keras dtype policy such as "mixed_bfloat16"; logits are float32 under every one.
    `dropout` comes before every dense layer: for training, inference knows none.
    """
    pixels = keras.Input((INPUT_PIXELS, INPUT_PIXELS, 3), dtype="uint8", name="pixels")
    x = Preprocessing(dtype=policy, name="preprocessing")(pixels)
    for block, convolutions in zip(BLOCKS, architecture.blocks, strict=True):
        for layer in convolutions:
            channels = layer.kernel_shape[-1]
            x = layers.Conv2D(
                channels, KERNEL_PIXELS, padding="same", activation="relu", dtype=policy, name=layer.name
            )(x)
        x = layers.MaxPooling2D(POOL_PIXELS, dtype=policy, name=f"{block.name}_pool")(x)
    features = layers.GlobalAveragePooling2D(dtype=policy, name="features")(x)
    x = features if architecture.head == "pooled" else layers.Flatten(dtype=policy, name="flatten")(x)
    *hidden, predictions = architecture.head_layers
    for layer in hidden:
        x = layers.Dropout(dropout, dtype=policy)(x) if dropout else x
        x = layers.Dense(layer.kernel_shape[-1], activation="relu", dtype=policy, name=layer.name)(x)
    x = layers.Dropout(dropout, dtype=policy)(x) if dropout else x
    logits = layers.Dense(architecture.classes, dtype="float32", name=predictions.name)(x)
    return keras.Model(pixels, [logits, features], name="vgg16")


def assign(model: keras.Model, arrays: Arrays) -> None:
    """Put `arrays` into the layers of `model` that bear their names; layers without an array keep theirs."""
    for layer in {name.split("/")[0] for name in arrays}:
        model.get_layer(layer).set_weights([arrays[f"{layer}/kernel"], arrays[f"{layer}/bias"]])


def arrays(model: keras.Model, architecture: Architecture) -> dict[str, NDArray[np.float32]]:
    """What `assign` puts in, taken out: the arrays of every layer of the architecture."""
    names = (f"{layer.name}/{array}" for layer in architecture.layers for array in ("kernel", "bias"))
    values = (value for layer in architecture.layers for value in model.get_layer(layer.name).get_weights())
    return {name: np.asarray(value, np.float32) for name, value in zip(names, values, strict=True)}


class KerasEngine:
    """Runs the network as Keras builds it, on whatever backend and device Keras uses."""

    precision: Precision = "f32"

    def __init__(self, architecture: Architecture, arrays: Arrays) -> None:
        self._model = build(architecture)
        assign(self._model, arrays)

    def infer(self, pixels: NDArray[np.uint8]) -> Output:
        logits, features = self._model.predict_on_batch(pixels)
        return Output(np.asarray(logits, np.float32), np.asarray(features, np.float32))
