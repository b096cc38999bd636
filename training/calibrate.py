"""Fits the temperature that `catdog.calibration` divides logits by.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks" (2017).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LOWEST, HIGHEST = 0.05, 20.0


def temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The temperature, from LOWEST to HIGHEST, with the least log-loss on photos that were not trained on.

    Logits are (n, classes), labels (n,). A weak belief in 1.0 that weighs less than a photo is added: without it a set
    with no mistake would ask for 0, however few photos it has, and one whose logits are all the same for anything.
    """
    logits = logits.astype(np.float64)
    photos = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        belief = inverse + log_temperature  # a gamma prior of 1/T with its mode at 1; convex in 1/T, as the log-loss is
        return float(belief - log_softmax(logits * inverse, axis=1)[photos, labels].sum())

    bounds = np.log([LOWEST, HIGHEST])
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x))
