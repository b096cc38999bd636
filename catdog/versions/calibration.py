"""Turns logits into calibrated probabilities.

The temperature is fitted on validation photos and divides the logits: it changes the confidence, never the predicted
class. Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks" (2017). A small share of every answer,
the noise, is spread evenly over all classes, so no answer is surer than the number of fitted photos justifies.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Calibration(NamedTuple):
    """The map from logits to probabilities; `noise` is the share, 0-1, that is spread evenly over all classes."""

    temperature: float
    noise: float = 0.0

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities of logits (n, classes), by the function of this name."""
        return probabilities(logits, self.temperature, self.noise)


def probabilities(logits: NDArray[np.floating], temperature: float, noise: float = 0.0) -> NDArray[np.float64]:
    """Softmax of the finite logits (n, classes) over the temperature: float64 (n, classes), each row sums to 1.

    `noise` is as in `Calibration`.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    below_the_largest = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)  # so that exp can't overflow
    unscaled = np.exp(below_the_largest / temperature)
    softmax: NDArray[np.float64] = unscaled / unscaled.sum(axis=1, keepdims=True)
    softmax *= 1 - noise
    softmax += noise / logits.shape[1]
    return softmax
