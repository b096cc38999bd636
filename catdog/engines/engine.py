"""The protocol that engines implement, and their inputs and outputs."""

from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from catdog.network.architecture import Arrays

Precision = Literal["f32", "bf16", "int8"]
Asked = Literal["auto"] | Precision  # auto is the quickest one that costs no accuracy


class Output(NamedTuple):
    """What the network says of n photos."""

    logits: NDArray[np.float32]  # (n, classes), before calibration
    features: NDArray[np.float32]  # (n, features), the pooled output of the backbone


class Explained(NamedTuple):
    """What the network says of n photos, and where it sees that, by the class activation maps of a pooled head.

    The mean of a map over its places, and the bias of the class, are together the logit.
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
        """How many calls of `infer` may run at once; more than these wait for each other."""
        ...

    @property
    def largest_batch(self) -> int:
        """The number of photos up to which one call is quicker than several."""
        ...

    def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
        """Logits and features of uint8 RGB (n, 224, 224, 3), 0-255, as `catdog.images.decode` returns them.

        `shared` says that other calls run at the same time, so that this one need not be the quickest it could be.
        """
        ...

    def explain(self, pixels: NDArray[np.uint8], shared: bool = False) -> Explained:
        """What `infer` says, and where in the photos it is seen. ValueError where the head is part of the graph."""
        ...

    def with_head(self, arrays: Arrays) -> "Engine":
        """Another engine on this one's graph, with the pooled head in `arrays`: nothing is compiled or held twice.

        ValueError where the head is part of the graph.
        """
        ...
