"""Files of a small network: in the layout of Keras 3 and in those of Keras 2."""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from catdog.network import weights
from catdog.network.architecture import Architecture
from tests.networks import random_arrays

Arrays = dict[str, NDArray[np.float32]]

SMALL = Architecture(2, 1 / 32)
CLASSIC = Architecture(3, 1 / 32, "classic")
ARRAYS = random_arrays(SMALL)

KERAS_2 = {
    "published": ("{0}/{0}_W_1:0", "{0}/{0}_b_1:0"),
    "weights": ("{0}/{0}/kernel:0", "{0}/{0}/bias:0"),
    "second of its name": ("{0}/{0}_1/kernel:0", "{0}/{0}_1/bias:0"),
    "whole model": ("model_weights/{0}/{0}/kernel:0", "model_weights/{0}/{0}/bias:0"),
    "network as a layer": ("model_weights/vgg16/{0}/kernel:0", "model_weights/vgg16/{0}/bias:0"),
}


def write_keras_3(folder: Path) -> Path:
    """Write a good file of SMALL; returns its path."""
    path = folder / "model.weights.h5"
    weights.write(path, SMALL, ARRAYS)
    return path


def write_keras_2(path: Path, arrays: Arrays, kernel: str, bias: str) -> None:
    """Keras 2's layout; `kernel` and `bias` are paths such as "{0}/{0}/kernel:0" of the layer's name."""
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            layer, kind = name.split("/")
            file[(kernel if kind == "kernel" else bias).format(layer)] = values
        file.attrs["layer_names"] = [b"../nonsense"]


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == np.float32


def backbone_of(arrays: Arrays) -> Arrays:
    return {name: arrays[name] for name in SMALL.shapes if name.startswith("block")}
