"""Fits the calibration of a version: its temperature and noise.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks" (2017).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from catdog.versions.calibration import Calibration

LOWEST, HIGHEST = 0.05, 20.0
MOST_DOUBT = 0.01  # largest doubt of the surest answer, for any number of photos


def fit(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> Calibration:
    """Fit on the logits (n, classes) and labels (n,) of held-out photos."""
    return Calibration(temperature(logits, labels), noise(*logits.shape))


def noise(photos: int, classes: int) -> float:
    """The noise that gives the surest answer the doubt that a set of `photos` photos leaves.

    Even if all of them were answered right, the next answer is wrong with a probability of 1 / (photos + 2): Laplace's
    rule of succession, "Essai philosophique sur les probabilités" (1814). Without the noise one photo with a wrong
    label can cost more log-loss than a thousand right answers gain.
    """
    return min(MOST_DOUBT, 1 / (photos + 2)) * classes / (classes - 1)


def temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The temperature, from LOWEST to HIGHEST, with the smallest log-loss on held-out photos.

    Logits are (n, classes), labels (n,). A weak prior for 1.0, which weighs less than one photo, is added: without it
    a set without mistakes would give 0, for any number of photos, and equal logits any value.
    """
    logits = logits.astype(np.float64)
    photos = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        belief = inverse + log_temperature  # a gamma prior of 1/T with its mode at 1; convex in 1/T, as the log-loss is
        return float(belief - log_softmax(logits * inverse, axis=1)[photos, labels].sum())

    bounds = np.log([LOWEST, HIGHEST])
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x))
