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
from threadpoolctl import threadpool_limits

PENALTIES = 10.0 ** np.arange(-4, 2)  # inverse strengths of the L2 penalty that are tried, the strongest first
CAUTIOUS = 1e-2  # the one that is taken where none can be tried
FOLDS = 5
TOLERANCE = 1e-4  # of the fits that only compare penalties

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
    with threadpool_limits(1):  # two took over ten times as long, for products of a millisecond
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
    parts = list(StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32).split(scaled, labels))
    tried: list[Values] = []  # logits, by penalty
    losses: list[Values] = []  # of each photo, by penalty
    for penalty in PENALTIES:
        logits = np.empty((len(labels), classes))
        for seen, unseen in parts:
            kernel, bias = _fit(scaled[seen], labels[seen], penalty, TOLERANCE)
            logits[unseen] = scaled[unseen] @ kernel + bias
        tried.append(logits)
        losses.append(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels])
        if not _is_as_good(losses[-1], min(losses, key=np.mean)):
            break  # weaker penalties overfit only more, and take the longest
    best = min(losses, key=np.mean)
    chosen = next(place for place, loss in enumerate(losses) if _is_as_good(loss, best))
    return float(PENALTIES[chosen]), tried[chosen]


def _is_as_good(losses: Values, best: Values) -> bool:
    """Whether these losses (n,), photo by photo, are above the best ones only within the standard error of that."""
    apart = losses - best
    return bool(apart.mean() <= apart.std(ddof=1) / np.sqrt(len(apart)))


def _fit(scaled: Values, labels: Labels, penalty: float, tolerance: float = 1e-6) -> tuple[Values, Values]:
    """Kernel (features, classes) and bias (classes,)."""
    model = LogisticRegression(C=penalty, tol=tolerance, max_iter=10_000).fit(scaled, labels)
    kernel, bias = model.coef_.T, model.intercept_
    if kernel.shape[1] == 1:  # for two classes scikit-learn keeps the difference of their logits
        return np.hstack([-kernel, kernel]) / 2, np.concatenate([-bias, bias]) / 2
    return kernel, bias
