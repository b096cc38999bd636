"""A Keras metric: the log-loss at the best temperature, by which epochs are compared."""

from typing import Any

import keras
import numpy as np
from keras import ops

TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8.0), 36)).astype(np.float32)  # 10% apart


@keras.saving.register_keras_serializable(package="catdog")
class CalibratedLogLoss(keras.metrics.Metric):  # type: ignore[misc]  # Keras ships no types
    """The mean log-loss of logits (n, classes) at the best of TEMPERATURES.

    A network that goes on learning from few photos gets more of others right long after it has become too sure of
    itself. Its plain log-loss rises then, though calibration undoes that before a version is published.
    """

    def __init__(self, name: str = "calibrated_log_loss", **options: Any) -> None:
        super().__init__(name=name, **options)
        self._total = self.add_weight(shape=TEMPERATURES.shape, initializer="zeros", name="total")
        self._photos = self.add_weight(shape=(), initializer="zeros", name="photos")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        scaled = ops.expand_dims(ops.cast(y_pred, "float32"), 0) / TEMPERATURES[:, None, None]
        losses = -ops.sum(ops.cast(y_true, "float32") * ops.log_softmax(scaled, axis=-1), axis=(1, 2))
        self._total.assign_add(losses)
        self._photos.assign_add(ops.cast(ops.shape(y_pred)[0], "float32"))

    def result(self) -> Any:
        belief = 1 / TEMPERATURES + np.log(TEMPERATURES) - 1  # weighs less than a photo
        return ops.min(self._total + belief) / ops.maximum(self._photos, 1.0)
