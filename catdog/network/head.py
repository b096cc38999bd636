"""Computes the pooled head, a linear map of the features, the same in training and serving."""

from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from catdog.network.architecture import Arrays

ARRAYS = KERNEL, BIAS = "predictions/kernel", "predictions/bias"


def logits(features: NDArray[np.float32], arrays: Arrays) -> NDArray[np.float32]:
    """Logits (n, classes) of features (n, features), by the "predictions" layer in `arrays`.

    Computed in float64, so that the result doesn't depend on the batch size.
    """
    kernel = arrays[KERNEL].astype(np.float64)
    result: NDArray[np.float32] = (features @ kernel + arrays[BIAS]).astype(np.float32)
    return result


def activation_maps(places: NDArray[np.floating], arrays: Arrays) -> NDArray[np.float32]:
    """Class activation maps: each position's contribution to the logits, from its backbone output.

    `places` is (n, 7, 7, features), the result (n, 7, 7, classes).
    Zhou, Khosla, Lapedriza, Oliva & Torralba, "Learning Deep Features for Discriminative Localization" (2016).
    """
    result: NDArray[np.float32] = (places @ arrays[KERNEL].astype(np.float64)).astype(np.float32)
    return result


def of(arrays: Arrays) -> Arrays:
    """Only the arrays of the head, so that those of the backbone can be freed."""
    return {name: arrays[name] for name in ARRAYS}


class ReplaceableHead:
    """An engine whose pooled head isn't compiled with the network. The classic head is: `_head` is None."""

    _head: Arrays | None

    def with_head(self, arrays: Arrays) -> Self:
        """An engine that shares the compiled network, with the pooled head in `arrays`.

        ValueError for the classic head.
        """
        if self._head is None:
            raise ValueError("only a pooled head can be replaced; the classic one is compiled with the network")
        other = copy(self)
        other._head = of(arrays)
        return other

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (n, classes) of features (n, features) that the compiled network has computed; ValueError as above."""
        if self._head is None:
            raise ValueError("the classic head is compiled with the network")
        return logits(features, self._head)
