"""From logits to probabilities that can be believed.

One number, the temperature, is fitted on validation photos and divides the logits: it changes how sure
the network is, never which class it prefers. Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern
Neural Networks" (2017).
"""

import numpy as np
from numpy.typing import NDArray


def probabilities(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Softmax of the finite logits (n, classes) over the temperature: float64 (n, classes), each row sums to 1."""
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    below_the_largest = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)  # so that exp can't overflow
    unscaled = np.exp(below_the_largest / temperature)
    result: NDArray[np.float64] = unscaled / unscaled.sum(axis=1, keepdims=True)
    return result
