"""Accuracy, log-loss and calibration error of predictions, and the speed of an engine."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import log_loss, precision_recall_fscore_support

from catdog.engines.engine import Engine
from catdog.errors import DatasetError
from catdog.versions import golden
from catdog.versions.measurements import Histogram, Metrics, Speed

HISTOGRAM_BINS = 10  # usual for the population stability index
LEAST_PHOTOS = 5  # per bin; with fewer photos there are fewer bins

BINS = 15
TOGETHER = 8  # photos in one call that is timed
CALLS = 5  # whose median counts, after one that isn't timed


class Bins(NamedTuple):
    """Photos by the probability of the predicted class, in BINS of equal width; NaN for an empty bin."""

    photos: NDArray[np.int64]  # (BINS,)
    right: NDArray[np.int64]  # (BINS,), number of correct ones
    probability: NDArray[np.float64]  # (BINS,), mean over the bin's photos
    accuracy: NDArray[np.float64]  # (BINS,)

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, 0-1: the mean distance between probability and accuracy.

        Naeini, Cooper & Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (2015).
        """
        apart = np.abs(self.accuracy - self.probability)
        return float(np.nansum(apart * self.photos) / self.photos.sum())


def measure(
    labels: NDArray[np.integer], probabilities: NDArray[np.float64], classes: Sequence[str], data: str
) -> Metrics:
    """Metrics of probabilities (n, classes) for photos with the labels `labels`, (n,); `data` describes the photos.

    Precision is 0 for a class that was never predicted, recall for one without a photo. DatasetError without photos.
    """
    if not len(labels):
        raise DatasetError(f"there is no photo to evaluate on in {data}")
    said = probabilities.argmax(axis=1)
    right = int((said == labels).sum())
    interval = binomtest(right, len(labels)).proportion_ci(0.95, method="wilson")
    every = np.arange(len(classes))
    precision, recall, _, _ = precision_recall_fscore_support(labels, said, labels=every, zero_division=0.0)
    return Metrics(
        photos=len(labels),
        accuracy=right / len(labels),
        accuracy_low=float(interval.low),
        accuracy_high=float(interval.high),
        log_loss=float(log_loss(labels, probabilities, labels=every)),
        calibration_error=bins(labels, probabilities).calibration_error,
        precision=dict(zip(classes, precision.tolist(), strict=True)),
        recall=dict(zip(classes, recall.tolist(), strict=True)),
        data=data,
    )


def bins(labels: NDArray[np.integer], probabilities: NDArray[np.float64]) -> Bins:
    """The photos in bins; a bin includes its upper edge but not its lower one."""
    highest = probabilities.max(axis=1)
    places = np.clip(np.ceil(highest * BINS).astype(np.int64) - 1, 0, BINS - 1)
    photos = np.bincount(places, minlength=BINS)
    right = np.bincount(places[probabilities.argmax(axis=1) == labels], minlength=BINS)
    sums = np.bincount(places, highest, minlength=BINS)
    some = np.where(photos, photos, np.nan)
    return Bins(photos, right, sums / some, right / some)


def table(metrics: Metrics) -> str:
    """The metrics as a text table, without a final newline."""
    width = max(len("calibration error"), *map(len, metrics.recall))
    rows = [
        ("photos", f"{metrics.photos:>9,}", metrics.data),
        ("accuracy", f"{metrics.accuracy:9.2%}", f"95%: {metrics.accuracy_low:.2%} to {metrics.accuracy_high:.2%}"),
        ("log-loss", f"{metrics.log_loss:9.4f}", "nats per photo"),
        ("calibration error", f"{metrics.calibration_error:9.2%}", f"expected, {BINS} bins"),
        ("", "", ""),
        ("class", "precision", "   recall"),
        *((name, f"{metrics.precision[name]:9.2%}", f"{recall:9.2%}") for name, recall in metrics.recall.items()),
    ]
    return "\n".join(f"{name:<{width}}  {value}  {note}".rstrip() for name, value, note in rows)


def histogram(values: NDArray[np.float64]) -> Histogram:
    """The histogram of values (n,) in bins of about equal counts; equal values share a bin."""
    bins = max(2, min(HISTOGRAM_BINS, len(values) // LEAST_PHOTOS))
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    photos = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return Histogram(edges=tuple(edges.tolist()), photos=tuple(photos.tolist()))


def speed(engine: Engine) -> Speed:
    """The engine's speed on this machine, decoding left out. Other work on it makes the number smaller."""
    pictures = golden.pictures()
    photos = np.concatenate([pictures] * (TOGETHER // len(pictures)))
    engine.infer(photos)
    seconds = []
    for _ in range(CALLS):
        began = perf_counter()
        engine.infer(photos)
        seconds.append(perf_counter() - began)
    return Speed(photos_per_second=round(len(photos) / median(seconds), 1), precision=engine.precision)
