"""The linear head, fitted exactly: multinomial logistic regression is a convex problem."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from catdog import calibration, head

PENALTIES = 10.0 ** np.arange(-4, 3)  # inverse strengths of the L2 penalty that are tried

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


def fit(
    train: tuple[Features, Labels], validation: tuple[Features, Labels], classes: int
) -> dict[str, NDArray[np.float32]]:
    """The arrays of the "predictions" layer, with the penalty that has the least log-loss on `validation`.

    Features are (n, features), labels (n,); every class occurs in `train`.
    """
    heads = [_fit(*train, penalty) for penalty in PENALTIES]
    features, labels = validation
    losses = [
        log_loss(labels, calibration.probabilities(head.logits(features, arrays), 1.0), labels=range(classes))
        for arrays in heads
    ]
    return heads[int(np.argmin(losses))]


def _fit(features: Features, labels: Labels, penalty: float) -> dict[str, NDArray[np.float32]]:
    scaler = StandardScaler().fit(features.astype(np.float64))
    model = LogisticRegression(C=penalty, tol=1e-6, max_iter=10_000).fit(scaler.transform(features), labels)
    kernel = model.coef_.T / scaler.scale_[:, None]
    bias = model.intercept_ - scaler.mean_ @ kernel
    if kernel.shape[1] == 1:  # for two classes scikit-learn keeps the difference of their logits
        kernel, bias = np.hstack([-kernel, kernel]) / 2, np.concatenate([-bias, bias]) / 2
    return {"predictions/kernel": kernel.astype(np.float32), "predictions/bias": bias.astype(np.float32)}
