"""The same network, run: what an engine is. Each module beside this one is one engine."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Precision = Literal["f32", "bf16"]

# Every array of the network by its name in `Architecture.shapes`, float32.
Arrays = Mapping[str, NDArray[np.float32]]


class Output(NamedTuple):
    """What the network says of n photos."""

    logits: NDArray[np.float32]  # (n, classes), before calibration
    features: NDArray[np.float32]  # (n, features), the pooled output of the backbone


class Engine(Protocol):
    """Runs one network. Safe to call from several threads."""

    @property
    def precision(self) -> Precision: ...

    def infer(self, pixels: NDArray[np.uint8]) -> Output:
        """Logits and features of uint8 RGB (n, 224, 224, 3), 0-255, as `catdog.images.decode` returns them."""
        ...
