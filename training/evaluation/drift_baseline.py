"""Histograms of the answers to validation photos, against which drift is measured."""

import numpy as np
from numpy.typing import NDArray

from catdog.versions.manifest import Histogram

BINS = 10  # as is usual for the population stability index
PHOTOS = 5  # in a bin, at least; with fewer there are fewer bins


def of(values: NDArray[np.float64]) -> Histogram:
    """The histogram of values (n,) in bins that hold about as many each; equal values share a bin."""
    bins = max(2, min(BINS, len(values) // PHOTOS))
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    photos = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return Histogram(edges=tuple(edges.tolist()), photos=tuple(photos.tolist()))
