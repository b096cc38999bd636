"""The linear head, fitted exactly: multinomial logistic regression is a convex problem.

How strong its penalty is, and how sure it is, are decided by cross-validation on the training photos: the few photos
that a small data set has to validate with can't tell penalties apart.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

PENALTIES = 10.0 ** np.arange(-4, 2)  # inverse strengths of the L2 penalty that are tried, the strongest first
CAUTIOUS = 1e-2  # the one that is taken where none can be tried
FOLDS = 5

Features = NDArray[np.float32]
Labels = NDArray[np.int64]
Values = NDArray[np.float64]


class Fitted(NamedTuple):
    """The arrays of the "predictions" layer, and the logits (n, classes) of photos that a fit hadn't seen.

    Those are of the training photos in their order, each by a head that was fitted without its fold; None where a
    class has one photo, and so can't be in two folds.
    """

    arrays: dict[str, NDArray[np.float32]]
    logits: Values | None


def fit(train: tuple[Features, Labels], classes: int, seed: int = 0) -> Fitted:
    """The head with the strongest penalty that is as good as the best one, within chance.

    Features are (n, features), labels (n,); every class occurs. As good: its log-loss, photo by photo, is above
    the best one's by no more than the standard error of that difference, on folds that it wasn't fitted on (Hastie,
    Tibshirani & Friedman, "The Elements of Statistical Learning", 2009, 7.10).
    """
    features, labels = train
    scaler = StandardScaler().fit(features.astype(np.float64))
    scaled = scaler.transform(features.astype(np.float64))
    penalty, logits = _choose(scaled, labels, classes, seed)
    kernel, bias = _fit(scaled, labels, penalty)
    kernel = kernel / scaler.scale_[:, None]
    bias = bias - scaler.mean_ @ kernel
    return Fitted(
        {"predictions/kernel": kernel.astype(np.float32), "predictions/bias": bias.astype(np.float32)}, logits
    )


def _choose(scaled: Values, labels: Labels, classes: int, seed: int) -> tuple[float, Values | None]:
    """The inverse penalty, and the logits that speak for it."""
    folds = min(FOLDS, int(np.bincount(labels, minlength=classes).min()))
    if folds < 2:
        return CAUTIOUS, None
    logits = np.empty((len(PENALTIES), len(labels), classes))
    for seen, unseen in StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32).split(scaled, labels):
        for place, penalty in enumerate(PENALTIES):
            kernel, bias = _fit(scaled[seen], labels[seen], penalty)
            logits[place, unseen] = scaled[unseen] @ kernel + bias
    losses = -log_softmax(logits, axis=2)[:, np.arange(len(labels)), labels]
    apart = losses - losses[losses.mean(axis=1).argmin()]
    error = apart.std(axis=1, ddof=1) / np.sqrt(len(labels))
    chosen = int(np.argmax(apart.mean(axis=1) <= error))  # the first, and so the strongest
    return float(PENALTIES[chosen]), logits[chosen]


def _fit(scaled: Values, labels: Labels, penalty: float) -> tuple[Values, Values]:
    """Kernel (features, classes) and bias (classes,)."""
    model = LogisticRegression(C=penalty, tol=1e-6, max_iter=10_000).fit(scaled, labels)
    kernel, bias = model.coef_.T, model.intercept_
    if kernel.shape[1] == 1:  # for two classes scikit-learn keeps the difference of their logits
        return np.hstack([-kernel, kernel]) / 2, np.concatenate([-bias, bias]) / 2
    return kernel, bias
