"""The pooled head: a linear map of the features, the same in training and serving."""

from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from catdog.network.architecture import Arrays

ARRAYS = KERNEL, BIAS = "predictions/kernel", "predictions/bias"


def logits(features: NDArray[np.float32], arrays: Arrays) -> NDArray[np.float32]:
    """Logits (n, classes) of features (n, features), by the "predictions" layer in `arrays`.

    In float64, so that the size of a batch doesn't show in the result.
    """
    kernel = arrays[KERNEL].astype(np.float64)
    result: NDArray[np.float32] = (features @ kernel + arrays[BIAS]).astype(np.float32)
    return result


def activation_maps(places: NDArray[np.floating], arrays: Arrays) -> NDArray[np.float32]:
    """What each place adds to the logits, (n, 7, 7, classes), by what the backbone makes of it: (n, 7, 7, features).

    Zhou, Khosla, Lapedriza, Oliva & Torralba, "Learning Deep Features for Discriminative Localization" (2016).
    """
    result: NDArray[np.float32] = (places @ arrays[KERNEL].astype(np.float64)).astype(np.float32)
    return result


def of(arrays: Arrays) -> Arrays:
    """The arrays of the head alone, so that those of the backbone can go."""
    return {name: arrays[name] for name in ARRAYS}


class ReplaceableHead:
    """An engine whose pooled head is apart from what is compiled. The classic head is compiled: `_head` is None."""

    _head: Arrays | None

    def with_head(self, arrays: Arrays) -> Self:
        """Another engine that shares what is compiled, with the pooled head in `arrays`.

        ValueError for the classic head.
        """
        if self._head is None:
            raise ValueError("only a pooled head can be replaced; the classic one is compiled with the network")
        other = copy(self)
        other._head = of(arrays)
        return other
