"""Fits the linear head exactly: multinomial logistic regression is a convex problem.

The strength of its penalty and its temperature are chosen by cross-validation on the training photos, because a small
data set has too few validation photos to distinguish penalties.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from catdog.system import resources

PENALTIES = 10.0 ** np.arange(-4, 2)  # inverse strengths of the L2 penalty to try, the strongest first
CAUTIOUS = 1e-2  # the one used if none can be tried
FOLDS = 5
TOLERANCE = 1e-4  # of the fits that compare penalties: largest component of the gradient of the mean loss

Features = NDArray[np.float32]
Labels = NDArray[np.int64]
Values = NDArray[np.float64]
Progress = Callable[
    [int, int], None
]  # called with the number of completed fits (one per penalty and fold) and the total


class Fitted(NamedTuple):
    """The arrays of the "predictions" layer, and cross-validated logits (n, classes).

    The logits are of the training photos in order, each from a head that was fitted without its fold. None if a class
    has only one photo, which can't be in two folds.
    """

    arrays: dict[str, NDArray[np.float32]]
    logits: Values | None


def fit(train: tuple[Features, Labels], classes: int, seed: int = 0, progress: Progress | None = None) -> Fitted:
    """Fit the head with the strongest penalty that is not significantly worse than the best one.

    Features are (n, features), labels (n,); every class must occur. Not significantly worse: on held-out folds its mean
    log-loss exceeds the best one's by at most the standard error of the paired difference (Hastie, Tibshirani &
    Friedman, "The Elements of Statistical Learning", 2009, 7.10). In a LARGE problem only the first fold compares
    penalties, because it has hundreds of photos.
    """
    features, labels = train
    scaler = StandardScaler().fit(features.astype(np.float64))
    scaled = scaler.transform(features.astype(np.float64))
    with threadpool_limits(resources.threads_for(features.size * classes)):
        search = _Search(
            scaled, labels, classes, seed, _is_large(features, classes), progress or (lambda done, total: None)
        )
        penalty, logits = search.choose()
        kernel, bias = search.fit_all(penalty)
    kernel = kernel / scaler.scale_[:, None]
    bias = bias - scaler.mean_ @ kernel
    return Fitted(
        {"predictions/kernel": kernel.astype(np.float32), "predictions/bias": bias.astype(np.float32)}, logits
    )


def _is_large(features: Features, classes: int) -> bool:
    return features.size * classes >= resources.LARGE


class _Search:
    """Fits on the folds of one data set; in a `large` one each fit starts from the result of the stronger penalty."""

    def __init__(
        self, scaled: Values, labels: Labels, classes: int, seed: int, large: bool, progress: Progress
    ) -> None:
        self._scaled, self._labels, self._classes, self._progress = scaled, labels, classes, progress
        self._compared = 1 if large else FOLDS
        folds = min(FOLDS, int(np.bincount(labels, minlength=classes).min()))
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32) if folds > 1 else None
        self._parts = [] if splitter is None else list(splitter.split(scaled, labels))
        self._models = [LogisticRegression(tol=TOLERANCE, max_iter=10_000, warm_start=large) for _ in self._parts]
        self._done = 0
        self._total = 1

    def choose(self) -> tuple[float, Values | None]:
        """The inverse strength of the chosen penalty, and the cross-validated logits of all photos with it."""
        if not self._parts:
            return CAUTIOUS, None
        some = self._parts[: self._compared]
        self._total = len(PENALTIES) * len(some) + len(self._parts) - len(some) + 1
        tried: list[Values] = []  # logits, by penalty
        losses: list[Values] = []  # of each photo in these folds, by penalty
        for penalty in PENALTIES:
            logits = np.full((len(self._labels), self._classes), np.nan)
            for fold, (_, unseen) in enumerate(some):
                logits[unseen] = self._logits(fold, penalty)
            tried.append(logits)
            seen = np.concatenate([unseen for _, unseen in some])
            losses.append(-log_softmax(logits[seen], axis=1)[np.arange(len(seen)), self._labels[seen]])
            if not _is_as_good(losses[-1], min(losses, key=np.mean)):
                break  # weaker penalties only overfit more, and take the longest
        best = min(losses, key=np.mean)
        chosen = next(place for place, loss in enumerate(losses) if _is_as_good(loss, best))
        for fold in range(len(some), len(self._parts)):
            tried[chosen][self._parts[fold][1]] = self._logits(fold, PENALTIES[chosen])
        return float(PENALTIES[chosen]), tried[chosen]

    def fit_all(self, penalty: float) -> tuple[Values, Values]:
        """Kernel (features, classes) and bias (classes,), fitted on all photos."""
        found = _fit(self._scaled, self._labels, penalty)
        self._progress(self._total, self._total)
        return found

    def _logits(self, fold: int, penalty: float) -> Values:
        """Logits of the photos in the fold, (n, classes), from a head fitted on the other folds."""
        seen, unseen = self._parts[fold]
        model = self._models[fold].set_params(C=penalty)
        kernel, bias = _two_sided(model.fit(self._scaled[seen], self._labels[seen]))
        self._done += 1
        self._progress(self._done, self._total)
        logits: Values = self._scaled[unseen] @ kernel + bias
        return logits


def _fit(scaled: Values, labels: Labels, penalty: float) -> tuple[Values, Values]:
    """Kernel (features, classes) and bias (classes,)."""
    return _two_sided(LogisticRegression(C=penalty, tol=1e-6, max_iter=10_000).fit(scaled, labels))


def _two_sided(model: LogisticRegression) -> tuple[Values, Values]:
    """Kernel (features, classes) and bias (classes,); for two classes scikit-learn keeps the difference of logits."""
    kernel, bias = model.coef_.T, model.intercept_
    if kernel.shape[1] == 1:
        return np.hstack([-kernel, kernel]) / 2, np.concatenate([-bias, bias]) / 2
    return kernel, bias


def _is_as_good(losses: Values, best: Values) -> bool:
    """Whether the mean of these losses (n,) exceeds that of the best by at most the paired standard error."""
    apart = losses - best
    return bool(apart.mean() <= apart.std(ddof=1) / np.sqrt(len(apart)))
