"""The protocol that engines implement, and their inputs and outputs."""

from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from catdog.network.architecture import Arrays

Precision = Literal["f32", "bf16", "int8"]
Asked = Literal["auto"] | Precision  # auto is the fastest one that costs no accuracy


class Output(NamedTuple):
    """The network's output for n photos."""

    logits: NDArray[np.float32]  # (n, classes), before calibration
    features: NDArray[np.float32]  # (n, features), the pooled output of the backbone


class Explained(NamedTuple):
    """The network's output for n photos, with the class activation maps of a pooled head.

    A logit is the mean of its class's map over all positions plus the class's bias.
    """

    output: Output
    maps: NDArray[np.float32]  # (n, 7, 7, classes), any sign
    bias: NDArray[np.float32]  # (classes,)


class Engine(Protocol):
    """Runs one network. Safe to call from several threads."""

    @property
    def precision(self) -> Precision: ...

    @property
    def streams(self) -> int:
        """How many calls of `infer` can run at once; further calls wait."""
        ...

    @property
    def largest_batch(self) -> int:
        """The batch size up to which one call is faster than several."""
        ...

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        """Logits and features of uint8 RGB (n, 224, 224, 3), 0-255, as `catdog.images.decode` returns them.

        `shared` says that other calls run at the same time, so throughput matters more than this call's latency.
        """
        ...

    def explain(self, pixels: NDArray[np.uint8], shared: bool = False) -> Explained:
        """Like `infer`, with class activation maps. ValueError if the head is part of the graph."""
        ...

    def with_head(self, arrays: Arrays) -> "Engine":
        """An engine that shares this one's graph, with the pooled head in `arrays`; nothing is compiled again.

        ValueError if the head is part of the graph.
        """
        ...
