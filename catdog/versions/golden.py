"""Golden pictures, which a loaded version must answer as it did when it was published.

They are synthetic: colours that change every 56, 16, 12 and 6 pixels. They depend neither on the platform nor on a
library, because only integers and SHAKE-256 are used.
"""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256, shake_256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catdog.engines.engine import Engine, Precision
from catdog.engines.openvino import OpenVINOEngine
from catdog.network import head
from catdog.network.architecture import INPUT_PIXELS, Network
from catdog.versions import calibration
from catdog.versions.manifest import Golden

# The number of random colours along a side, chosen so that the shipped model is unsure about every picture.
GRIDS = (5, 15, 20, 40)

# The largest allowed difference of a probability. In float32 OpenVINO and Keras differed by 1e-7. In bfloat16 the
# shipped version differed by 0.001, heads of width 1/32 on a few drawn pictures by 0.017, and random networks, whose
# logits are in the hundreds, by 0.1. Mistaking BGR for RGB changes the shipped version's by 0.04: float32 detects it.
# In int8 the golden answers are from the same graph, whose integers are the same everywhere; a float32 that is rounded
# differently changes one of them by one step.
TOLERANCE: Final[dict[Precision, float]] = {"f32": 1e-3, "bf16": 0.15, "int8": 0.05}


@cache
def pictures() -> NDArray[np.uint8]:
    """uint8 RGB (4, 224, 224, 3), read-only."""
    drawn = np.stack([_field(side) for side in GRIDS])
    drawn.setflags(write=False)
    return drawn


@cache
def fingerprint() -> str:
    """sha256 of the pictures."""
    return sha256(pictures().tobytes()).hexdigest()


def answers(engine: Engine, temperature: float) -> NDArray[np.float64]:
    """Probabilities (4, classes)."""
    return calibration.probabilities(engine.infer(pictures()).logits, temperature)


def record(
    network: Network,
    temperature: float,
    precision: Precision = "f32",
    features: NDArray[np.float32] | None = None,
) -> Golden:
    """Compute the golden answers in this precision.

    `features` (4, features) are the pictures' features in this precision, if known and the head is pooled.
    """
    if features is None:
        logits = OpenVINOEngine(network, precision).infer(pictures()).logits
    else:
        logits = head.logits(features, network.arrays)
    found = calibration.probabilities(logits, temperature)
    return Golden(pictures=fingerprint(), probabilities=tuple(map(tuple, found.tolist())))


def check(
    found: NDArray[np.float64], expected: Golden, precision: Precision, places: Sequence[int] = range(len(GRIDS))
) -> None:
    """Raise ValueError unless the answers `found` in this precision equal the expected ones within its tolerance.

    `found` (n, classes) are the answers to the pictures at `places`.
    """
    if expected.pictures != fingerprint():
        raise ValueError("its golden answers belong to pictures of another version of catdog; train it again")
    kept, shape = np.array(expected.probabilities), (len(GRIDS), found.shape[1])
    if kept.shape != shape:
        raise ValueError(f"its golden answers have the shape {kept.shape}, but it gives {shape}; train it again")
    apart = float(np.abs(found - kept[list(places)]).max())
    if not apart <= TOLERANCE[precision]:  # also raises for NaN
        raise ValueError(
            f"its answers are not those that it was published with: a probability differs by {apart:.3g},"
            f" but in {precision} at most {TOLERANCE[precision]:g} is allowed"
        )


def _field(side: int) -> NDArray[np.uint8]:
    """Random colours on a grid of side x side, interpolated linearly: uint8 (224, 224, 3)."""
    colours = np.frombuffer(shake_256(f"catdog 0 {side}".encode()).digest(side * side * 3), np.uint8)
    pixel = np.arange(INPUT_PIXELS)
    before, share = np.divmod(pixel * (side - 1), INPUT_PIXELS)  # share of the next colour, in INPUT_PIXELS-ths
    weights = np.zeros((INPUT_PIXELS, side), np.int64)
    weights[pixel, before], weights[pixel, before + 1] = INPUT_PIXELS - share, share
    planes = weights @ colours.reshape(side, side, 3).transpose(2, 0, 1) @ weights.T // INPUT_PIXELS**2
    return np.moveaxis(planes, 0, -1).astype(np.uint8)
