"""VGG16 with batch normalisation for training from scratch, folded away for serving.

Ioffe & Szegedy, "Batch Normalization" (2015). The two forms are equivalent: normalisation with fixed statistics is an
affine map, which can be merged into the convolution before it.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from catdog.engines.keras import Preprocessing
from catdog.network.architecture import BLOCKS, INPUT_PIXELS, KERNEL_PIXELS, POOL_PIXELS, Architecture, Arrays


@keras.saving.register_keras_serializable(package="catdog")
class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras ships no types
    """Keras's layer over the last axis; on TensorFlow a single fused kernel, in the precision of its input.

    Keras normalises in float32 with several separate operations. On two cores they took more than half of a training
    step of the slim network: docs/decisions/training/0002-fused-batch-normalisation.md has the numbers.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.cast(self.gamma, tf.float32),
            tf.cast(self.beta, tf.float32),
            epsilon=self.epsilon,
            is_training=True,
        )
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1 - self.momentum))
        return outputs


def build(architecture: Architecture, dropout: float, policy: str, seed: int) -> keras.Model:
    """The trainable network: RGB 0-255 (n, height, width, 3) in, float32 logits (n, classes) out.

    The pooled head accepts any height and width; `policy` is a Keras dtype policy such as "mixed_bfloat16".
    """
    side = None if architecture.head == "pooled" else INPUT_PIXELS
    pixels = keras.Input((side, side, 3), dtype="uint8", name="pixels")
    x = Preprocessing(dtype=policy, name="preprocessing")(pixels)
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))
    for block, convolutions in zip(BLOCKS, architecture.blocks, strict=True):
        for layer in convolutions:
            # He et al., "Delving Deep into Rectifiers" (2015), with fan-out scaling.
            he = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=next(seeds))
            x = layers.Conv2D(
                layer.kernel_shape[-1],
                KERNEL_PIXELS,
                padding="same",
                use_bias=False,
                kernel_initializer=he,
                dtype=policy,
                name=layer.name,
            )(x)
            x = BatchNormalization(momentum=0.9, dtype=policy, name=_normalization(layer.name))(x)
            x = layers.ReLU(dtype=policy, name=f"{layer.name}_relu")(x)
        x = layers.MaxPooling2D(POOL_PIXELS, dtype=policy, name=f"{block.name}_pool")(x)
    if architecture.head == "pooled":
        x = layers.GlobalAveragePooling2D(dtype=policy, name="features")(x)
    else:
        x = layers.Flatten(dtype=policy, name="flatten")(x)
    *hidden, predictions = architecture.head_layers
    for layer in hidden:
        x = layers.Dropout(dropout, seed=next(seeds), dtype=policy, name=f"{layer.name}_dropout")(x)
        x = layers.Dense(layer.kernel_shape[-1], activation="relu", dtype=policy, name=layer.name)(x)
    x = layers.Dropout(dropout, seed=next(seeds), dtype=policy, name="dropout")(x)
    glorot = keras.initializers.GlorotUniform(seed=next(seeds))
    logits = layers.Dense(architecture.classes, kernel_initializer=glorot, dtype="float32", name=predictions.name)(x)
    return keras.Model(pixels, logits, name="vgg16")


def _normalization(convolution: str) -> str:
    return f"{convolution}_bn"


def fold(model: keras.Model, architecture: Architecture) -> dict[str, NDArray[np.float32]]:
    """The arrays of plain VGG16 that compute what `model` computes at inference."""
    arrays: dict[str, NDArray[np.float32]] = {}
    for layer in architecture.backbone_layers:
        kernel = np.asarray(model.get_layer(layer.name).get_weights()[0], np.float64)
        normalization = model.get_layer(_normalization(layer.name))
        gamma, beta, mean, variance = (np.asarray(w, np.float64) for w in normalization.get_weights())
        scale = gamma / np.sqrt(variance + normalization.epsilon)
        arrays[f"{layer.name}/kernel"] = (kernel * scale).astype(np.float32)
        arrays[f"{layer.name}/bias"] = (beta - mean * scale).astype(np.float32)
    for layer in architecture.head_layers:
        for array, weight in zip(("kernel", "bias"), model.get_layer(layer.name).get_weights(), strict=True):
            arrays[f"{layer.name}/{array}"] = np.asarray(weight, np.float32)
    return arrays


def unfold(model: keras.Model, architecture: Architecture, arrays: Arrays, pixels: NDArray[np.uint8]) -> None:
    """Put plain VGG16 arrays into `model`, so that it initially computes the same as they do.

    Each normalisation gets the statistics of its input on `pixels`, RGB (n, height, width, 3), and the scale and shift
    that undo them. Arrays of a head that are missing in `arrays` keep their initial values.
    """
    x: Any = model.get_layer("preprocessing")(pixels)
    for block, convolutions in zip(BLOCKS, architecture.blocks, strict=True):
        for layer in convolutions:
            model.get_layer(layer.name).set_weights([arrays[f"{layer.name}/kernel"]])
            x = model.get_layer(layer.name)(x)
            mean, variance = (ops.convert_to_numpy(m) for m in ops.moments(ops.cast(x, "float32"), axes=[0, 1, 2]))
            normalization = model.get_layer(_normalization(layer.name))
            deviation = np.sqrt(variance + normalization.epsilon)
            normalization.set_weights([deviation, mean + arrays[f"{layer.name}/bias"], mean, variance])
            x = ops.relu(normalization(x, training=False))
        x = model.get_layer(f"{block.name}_pool")(x)
    for layer in architecture.head_layers:
        if f"{layer.name}/kernel" in arrays:
            model.get_layer(layer.name).set_weights([arrays[f"{layer.name}/kernel"], arrays[f"{layer.name}/bias"]])
