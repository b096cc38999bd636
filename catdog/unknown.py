"""When a photo is like none of the classes.

A network answers less to what it has learnt nothing of: the features of a photo without a cat or a dog in it are
shorter than those of one with. Dhamija, Günther & Boult, "Reducing Network Agnostophobia" (2018); decision 11 has the
measurement.
"""

import numpy as np
from numpy.typing import NDArray

from catdog.manifest import Unknown


def lengths(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The Euclidean length of each photo's features (n, features): (n,)."""
    result: NDArray[np.float64] = np.linalg.norm(features.astype(np.float64), axis=1)
    return result


def familiarity(features: NDArray[np.float32], usual_length: float) -> NDArray[np.float64]:
    """How familiar each photo is, (n,), 0 and up: 1 where its features are as long as is usual."""
    return lengths(features) / usual_length


def judged(features: NDArray[np.float32], known: Unknown | None) -> tuple[float | None, bool]:
    """The familiarity of one photo with features (1, features), and whether it is unknown.

    None and False where the version can't tell.
    """
    if known is None:
        return None, False
    (found,) = familiarity(features, known.usual_length).tolist()
    return found, found < known.threshold
