"""Out-of-distribution measures from the literature; larger values mean more familiar."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from sklearn.cluster import KMeans

from training.evaluation import ood

SHRINKAGE: Final = 0.1  # of a covariance towards a multiple of the identity
CLIPPED: Final = 0.9  # quantile of the training photos' features that ReAct clips at
PRUNED: Final = 90  # percentile of a photo's features below which ASH sets them to zero
RESIDUAL: Final = 0.5  # share of the dimensions that ViM uses as the principal space

Values = NDArray[np.float64]


class Fitted(NamedTuple):
    """Training photos: features (n, features), labels (n,); and the head, if there is one."""

    features: Values
    labels: NDArray[np.int64]
    kernel: Values | None  # (features, classes)
    bias: Values | None  # (classes,)

    def logits(self, features: Values) -> Values:
        assert self.kernel is not None  # noqa: S101  # measures that need a head get one
        assert self.bias is not None  # noqa: S101
        return np.asarray(features @ self.kernel + self.bias)

    @property
    def means(self) -> Values:
        """The mean of each class, (classes, features)."""
        return np.stack([self.features[self.labels == label].mean(axis=0) for label in np.unique(self.labels)])


Measure = Callable[[Fitted, Values], Values]


def probability(fit: Fitted, seen: Values) -> Values:
    """Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples" (2017)."""
    return np.asarray(log_softmax(fit.logits(seen), axis=1).max(axis=1))


def energy(fit: Fitted, seen: Values) -> Values:
    """Liu, Wang, Owens & Li, "Energy-based Out-of-distribution Detection" (2020)."""
    return np.asarray(logsumexp(fit.logits(seen), axis=1))


def react(fit: Fitted, seen: Values) -> Values:
    """Sun, Guo & Li, "ReAct: Out-of-distribution Detection With Rectified Activations" (2021)."""
    return energy(fit, np.minimum(seen, np.quantile(fit.features, CLIPPED)))


def ash(fit: Fitted, seen: Values) -> Values:
    """Djurisic et al., "Extremely Simple Activation Shaping for Out-of-Distribution Detection" (2023): ASH-S."""
    kept = np.where(seen >= np.percentile(seen, PRUNED, axis=1, keepdims=True), seen, 0)
    sums, left = seen.sum(axis=1, keepdims=True), kept.sum(axis=1, keepdims=True)
    return energy(fit, kept * np.exp(sums / np.maximum(left, 1e-9)))


def she(fit: Fitted, seen: Values) -> Values:
    """Zhang et al., "Out-of-Distribution Detection based on In-Distribution Data Patterns Memorization" (2023)."""
    return np.asarray((seen * fit.means[fit.logits(seen).argmax(axis=1)]).sum(axis=1))


def vim(fit: Fitted, seen: Values) -> Values:
    """Wang et al., "ViM: Out-Of-Distribution with Virtual-logit Matching" (2022)."""
    assert fit.kernel is not None  # noqa: S101
    assert fit.bias is not None  # noqa: S101
    origin = -np.linalg.pinv(fit.kernel.T) @ fit.bias
    vectors = np.linalg.eigh(np.cov((fit.features - origin).T))[1]
    residual = vectors[:, : int(RESIDUAL * len(vectors))]

    def apart(features: Values) -> Values:
        return np.asarray(np.linalg.norm((features - origin) @ residual, axis=1))

    scale = fit.logits(fit.features).max(axis=1).mean() / apart(fit.features).mean()
    return np.asarray(energy(fit, seen) - scale * apart(seen))


def length(_: Fitted, seen: Values) -> Values:
    """Dhamija, Günther & Boult, "Reducing Network Agnostophobia" (2018)."""
    return np.asarray(np.linalg.norm(seen, axis=1))


def mahalanobis(fit: Fitted, seen: Values) -> Values:
    """Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples" (2018); normalised features.

    Normalised as in Müller & Hein, "Mahalanobis++: Improving OOD Detection via Feature Normalization" (2025).
    """
    fit = fit._replace(features=unit(fit.features))
    return -_to_classes(fit, unit(seen))


def relative(fit: Fitted, seen: Values) -> Values:
    """Ren et al., "A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection" (2021); normalised."""
    fit, seen = fit._replace(features=unit(fit.features)), unit(seen)
    return _squares(seen - fit.features.mean(axis=0), _precision(fit.features)) - _to_classes(fit, seen)


def class_mean(fit: Fitted, seen: Values) -> Values:
    """Cosine similarity to the nearest class's mean."""
    return np.asarray((unit(seen) @ unit(fit.means).T).max(axis=1))


def nearest(k: int) -> Measure:
    """Cosine similarity to the k-th nearest: Sun et al., "OOD Detection with Deep Nearest Neighbors" (2022)."""

    def measure(fit: Fitted, seen: Values) -> Values:
        return _nearest(fit, seen, k)[:, -k]

    return measure


def whitened(k: int) -> Measure:
    """The same with features whitened like in `training.evaluation.ood`: the measure that versions use."""

    def measure(fit: Fitted, seen: Values) -> Values:
        bank = ood.bank_of(fit.features.astype(np.float32), fit.labels)
        return bank.similarities(seen.astype(np.float32), k)

    return measure


def mean_of_nearest(k: int) -> Measure:
    """Mean cosine similarity to the k nearest."""

    def measure(fit: Fitted, seen: Values) -> Values:
        return np.asarray(_nearest(fit, seen, k)[:, -k:].mean(axis=1))

    return measure


def with_length(measure: Measure, weight: float) -> Measure:
    """The sum of a measure and the logarithm of the length, each in standard deviations of the training photos."""

    def combined(fit: Fitted, seen: Values) -> Values:
        usual, lengths = measure(fit, fit.features), np.log(length(fit, fit.features))
        first = (measure(fit, seen) - usual.mean()) / usual.std()
        second = (np.log(np.maximum(length(fit, seen), 1e-9)) - lengths.mean()) / lengths.std()
        return np.asarray(first + weight * second)

    return combined


MEASURES: Final[dict[str, Measure]] = {
    "largest probability": probability,
    "energy": energy,
    "energy, ReAct": react,
    "energy, ASH": ash,
    "SHE": she,
    "ViM": vim,
    "length of the features": length,
    "Mahalanobis distance, of length 1": mahalanobis,
    "relative Mahalanobis distance, of length 1": relative,
    "similarity to the nearest class's mean": class_mean,
    **{f"similarity to the photo no. {k}": nearest(k) for k in (1, 3, 5, 10, 50)},
    **{f"mean similarity to {k} photos": mean_of_nearest(k) for k in (3, 10)},
    **{f"similarity to the photo no. {k}, whitened": whitened(k) for k in (1, 3, 5, 10)},
    "similarity to no. 5, and a quarter of the length": with_length(nearest(5), 0.25),
    "similarity to no. 5, and the length": with_length(nearest(5), 1),
}


def at_random(fit: Fitted, size: int, random: np.random.Generator) -> Fitted:
    """Some of the training photos."""
    return _some(fit, random.permutation(len(fit.features))[:size])


def centres(fit: Fitted, size: int, random: np.random.Generator) -> Fitted:
    """Photos nearest to the centres of k-means."""
    rows = unit(fit.features)
    means = KMeans(min(size, len(rows)), n_init=1, max_iter=20, random_state=int(random.integers(2**31))).fit(rows)
    return _some(fit, np.unique((means.cluster_centers_ @ rows.T).argmax(axis=1)))


def herded(fit: Fitted, size: int, _: np.random.Generator) -> Fitted:
    """Photos whose mean is that of all: Welling, "Herding Dynamical Weights to Learn" (2009)."""
    rows = unit(fit.features)
    mean, wanted = rows.mean(axis=0), rows.mean(axis=0)
    left, chosen = np.ones(len(rows), bool), []
    for _round in range(min(size, len(rows))):
        chosen.append(int(np.where(left, rows @ wanted, -np.inf).argmax()))
        left[chosen[-1]] = False
        wanted = wanted + mean - rows[chosen[-1]]
    return _some(fit, np.array(chosen))


BANKS: Final = {"random": at_random, "k-means": centres, "herding": herded}


def _some(fit: Fitted, places: NDArray[np.int64]) -> Fitted:
    return fit._replace(features=fit.features[places], labels=fit.labels[places])


def unit(rows: Values) -> Values:
    """Each row divided by its length."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))


def _nearest(fit: Fitted, seen: Values, k: int) -> Values:
    """The k largest similarities in the last columns of the result; a training photo includes itself."""
    found = unit(seen) @ unit(fit.features).T
    k = min(k, found.shape[1])
    return np.sort(found, axis=1)[:, -k:]


def _precision(rows: Values) -> Values:
    covariance = np.cov(rows.T)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return np.asarray(np.linalg.inv(shrunk))


def _squares(rows: Values, precision: Values) -> Values:
    return np.asarray(np.einsum("nf,fg,ng->n", rows, precision, rows, optimize=True))


def _to_classes(fit: Fitted, seen: Values) -> Values:
    """The squared Mahalanobis distance to the nearest class's mean, with the within-class covariance."""
    labels = np.unique(fit.labels, return_inverse=True)[1]
    precision = _precision(fit.features - fit.means[labels])
    return np.asarray(np.min([_squares(seen - mean, precision) for mean in fit.means], axis=0))
