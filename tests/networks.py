"""Small real networks with random arrays."""

import numpy as np
from numpy.typing import NDArray

from catdog.network.architecture import Architecture


def random_arrays(architecture: Architecture, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Arrays that keep the size of activations about constant through the network, so that every layer matters."""
    chance = np.random.default_rng(seed)
    arrays = {}
    for name, shape in architecture.shapes.items():
        deviation = 0.1 if name.endswith("bias") else np.sqrt(2 / np.prod(shape[:-1]))
        arrays[name] = chance.normal(0, deviation, shape).astype(np.float32)
    return arrays


def random_pixels(photos: int, seed: int = 0, side: int = 224) -> NDArray[np.uint8]:
    """uint8 RGB (photos, side, side, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (photos, side, side, 3), np.uint8)
