"""Keras loads the files that we write, and we read the files that Keras writes; checked with Keras itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from catdog.errors import WeightsError
from catdog.network import weights
from catdog.network.architecture import Architecture
from tests.networks import random_arrays

keras = pytest.importorskip("keras", reason="Keras is not installed; `make test` installs it")
# TensorFlow's variables don't know numpy 2's `copy` yet; Keras converts them when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SMALL = Architecture(2, 1 / 32)
CLASSIC = Architecture(3, 1 / 32, "classic")

Arrays = dict[str, NDArray[np.float32]]


def build(architecture: Architecture) -> Any:
    from catdog.engines.keras import build

    return build(architecture)


def arrays_of(model: Any, names: list[str]) -> Arrays:
    """The model's arrays by these names, such as "block1_conv1/bias"."""
    layers = {name: model.get_layer(name.split("/")[0]).get_weights() for name in names}
    return {name: layers[name][name.endswith("/bias")] for name in names}


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def backbone_of(model: Any) -> Arrays:
    return arrays_of(model, [name for name in SMALL.shapes if name.startswith("block")])


@pytest.mark.parametrize("architecture", [SMALL, CLASSIC], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_keras_loads_what_we_write(tmp_path: Path, architecture: Architecture, dtype: weights.StoredType) -> None:
    arrays = random_arrays(architecture)
    weights.write(tmp_path / "model.weights.h5", architecture, arrays, dtype)
    model = build(architecture)
    model.load_weights(tmp_path / "model.weights.h5")
    stored = {name: values.astype(dtype).astype(np.float32) for name, values in arrays.items()}
    assert_same(arrays_of(model, list(architecture.shapes)), stored)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_keras_loads_a_backbone_and_a_head_in_files_of_their_own(tmp_path: Path, dtype: weights.StoredType) -> None:
    arrays = random_arrays(SMALL)
    for name, content in weights.packed(tmp_path / weights.INDEX, SMALL, arrays, dtype).items():
        (tmp_path / name).write_bytes(content)
    model = build(SMALL)
    model.load_weights(tmp_path / weights.INDEX)
    stored = {name: values.astype(dtype).astype(np.float32) for name, values in arrays.items()}
    assert_same(arrays_of(model, list(SMALL.shapes)), stored)
    assert_same(weights.read(tmp_path / weights.INDEX, SMALL), stored)
    assert_same(weights.read_backbone(tmp_path / weights.BACKBONE, SMALL), backbone_of(model))


@pytest.mark.parametrize("architecture", [SMALL, CLASSIC], ids=str)
def test_we_read_what_keras_writes(tmp_path: Path, architecture: Architecture) -> None:
    model = build(architecture)
    model.save_weights(tmp_path / "model.weights.h5")
    found = weights.read(tmp_path / "model.weights.h5", architecture)
    assert_same(found, arrays_of(model, list(architecture.shapes)))
    assert_same(weights.read_backbone(tmp_path / "model.weights.h5", SMALL), backbone_of(model))


def test_an_optimiser_saved_with_the_network_is_surplus_to_it_but_not_to_its_backbone(tmp_path: Path) -> None:
    model = build(SMALL)
    model.compile("adam", "mse")
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(WeightsError, match="optimizer/vars/0: is surplus"):
        weights.read(tmp_path / "model.weights.h5", SMALL)
    assert_same(weights.read_backbone(tmp_path / "model.weights.h5", SMALL), backbone_of(model))


def test_the_backbone_is_found_in_a_network_that_is_a_layer_of_another(tmp_path: Path) -> None:
    inner = build(SMALL)
    pixels = keras.Input((224, 224, 3))
    model = keras.Model(pixels, keras.layers.Dense(5)(inner(pixels)[1]))
    model.save_weights(tmp_path / "model.weights.h5")
    assert_same(weights.read_backbone(tmp_path / "model.weights.h5", SMALL), backbone_of(inner))


@pytest.mark.parametrize("nested", [False, True])
def test_the_backbone_is_read_from_a_whole_model_in_the_older_format(tmp_path: Path, nested: bool) -> None:
    inner = build(SMALL)
    pixels = keras.Input((224, 224, 3))
    model = keras.Model(pixels, keras.layers.Dense(5)(inner(pixels)[1])) if nested else inner
    model.compile("adam", "mse")
    model.save(tmp_path / "model.hdf5.h5")
    assert_same(weights.read_backbone(tmp_path / "model.hdf5.h5", SMALL), backbone_of(inner))


def test_the_network_published_with_keras_is_ours_in_names_and_shapes(tmp_path: Path) -> None:
    published = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    published.save_weights(tmp_path / "vgg16.weights.h5")
    found = weights.read_backbone(tmp_path / "vgg16.weights.h5", Architecture(2))
    assert_same(found, arrays_of(published, list(found)))
    assert sum(values.size for values in found.values()) == 14_714_688
