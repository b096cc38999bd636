"""Fused batch normalisation for TensorFlow."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="catdog")
class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras ships no types
    """Keras's layer over the last axis; on TensorFlow one fused kernel, in the precision of its input.

    Keras normalises in float32 by a handful of separate operations. On two cores that took more than half of a
    training step of the slim network: docs/decisions/0002-fused-batch-normalisation.md has the numbers.
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
