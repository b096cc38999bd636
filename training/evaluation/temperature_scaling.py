"""Fits the calibration of a version: its temperature and noise.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks" (2017).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from catdog.versions.calibration import Calibration

LOWEST, HIGHEST = 0.05, 20.0
MOST_DOUBT = 0.01  # of the surest answer, however few photos there are


def fit(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> Calibration:
    """By the logits (n, classes) and labels (n,) of photos that were not trained on."""
    return Calibration(temperature(logits, labels), noise(*logits.shape))


def noise(photos: int, classes: int) -> float:
    """The noise with which the surest answer has as much doubt as so many photos leave.

    Even if the surest answers to all of them were right the next one is wrong with a probability of 1 / (photos + 2):
    Laplace's rule of succession, "Essai philosophique sur les probabilités" (1814). Without it one photo under a wrong
    label can cost more log-loss than a thousand right answers.
    """
    return min(MOST_DOUBT, 1 / (photos + 2)) * classes / (classes - 1)


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
