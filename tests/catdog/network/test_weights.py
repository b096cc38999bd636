"""The weights of a network are written and read again, and files with other arrays are refused."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from catdog.errors import WeightsError
from catdog.network import weights
from catdog.network.architecture import Architecture
from tests.catdog.network.keras_files import (
    ARRAYS,
    CLASSIC,
    SMALL,
    assert_same,
    backbone_of,
    write_keras_3,
)
from tests.networks import random_arrays


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good Keras 3 file of SMALL."""
    return write_keras_3(tmp_path)


@pytest.mark.parametrize("architecture", [SMALL, CLASSIC], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_written_is_read(tmp_path: Path, architecture: Architecture, dtype: weights.StoredType) -> None:
    arrays = random_arrays(architecture)
    weights.write(tmp_path / "model.weights.h5", architecture, arrays, dtype)
    stored = {name: values.astype(dtype).astype(np.float32) for name, values in arrays.items()}
    assert_same(weights.read(tmp_path / "model.weights.h5", architecture), stored)
    assert list(stored) == list(architecture.shapes)


def test_the_same_arrays_make_the_same_bytes(path: Path) -> None:
    again = path.with_name("again.weights.h5")
    weights.write(again, SMALL, ARRAYS)
    assert again.read_bytes() == path.read_bytes()


def test_arrays_are_stored_in_float16_where_that_loses_nothing() -> None:
    exact, rough = np.array([0.5, -2.0], np.float32), np.array([1 / 3], np.float32)

    assert weights.smallest([exact]) == "float16"
    assert weights.smallest([exact, rough]) == "float32"


def test_halved_arrays_lose_nothing_in_float16_and_hardly_differ() -> None:
    arrays = random_arrays(Architecture(2, width=1 / 32))

    halved = weights.halved(arrays)

    assert weights.smallest(arrays.values()) == "float32"
    assert weights.smallest(halved.values()) == "float16"
    for name, array in arrays.items():
        np.testing.assert_allclose(halved[name], array, rtol=1e-3, atol=1e-7)


def test_an_array_beyond_float16_is_not_halved() -> None:
    large = np.array([1e6, 1 / 3], np.float32)

    assert np.array_equal(weights.halved({"large": large})["large"], large)


def test_float16_takes_half_the_space(tmp_path: Path) -> None:
    wide = Architecture(2, 1 / 4)
    weights.write(tmp_path / "float32", wide, random_arrays(wide))
    weights.write(tmp_path / "float16", wide, random_arrays(wide), "float16")
    assert (tmp_path / "float16").stat().st_size < 0.55 * (tmp_path / "float32").stat().st_size


@pytest.mark.parametrize(
    ("name", "values", "problem"),
    [
        ("predictions/bias", None, "is missing"),
        ("extra/kernel", np.zeros(2), "is surplus"),
        ("predictions/bias", np.zeros(3), r"has the shape \(3,\), but the network needs \(2,\)"),
        ("predictions/bias", np.array([0, np.nan]), "holds NaN"),
        ("predictions/bias", np.array([0, 70_000]), "beyond float16"),
    ],
)
def test_arrays_that_are_not_the_networks_are_not_written(
    tmp_path: Path, name: str, values: NDArray[np.float32] | None, problem: str
) -> None:
    arrays = {key: array for key, array in (ARRAYS | {name: values}).items() if array is not None}
    with pytest.raises(WeightsError, match=problem) as refused:
        weights.write(tmp_path / "model.weights.h5", SMALL, arrays, "float16")
    assert refused.value.item == name
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", [weights.read, weights.read_backbone])
def test_a_missing_array_is_refused(path: Path, read: Any) -> None:
    with h5py.File(path, "a") as file:
        del file["layers/conv2d_7/vars/1"]
    with pytest.raises(WeightsError, match="layers/conv2d_7/vars/1: is missing"):
        read(path, SMALL)


@pytest.mark.parametrize("read", [weights.read, weights.read_backbone])
@pytest.mark.parametrize("item", ["layers/conv2d/vars/2", "layers/conv2d_13/vars/0"])
def test_a_surplus_array_is_refused(path: Path, read: Any, item: str) -> None:
    with h5py.File(path, "a") as file:
        file[item] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError, match=f"{item}: is surplus"):
        read(path, SMALL)


@pytest.mark.parametrize("item", ["layers/dense_1/vars/0", "optimizer/vars/0", "block1_conv1/kernel", "values"])
def test_only_the_backbone_is_read_beside_unknown_arrays(path: Path, item: str) -> None:
    with h5py.File(path, "a") as file:
        file[item] = np.zeros(3)
    with pytest.raises(WeightsError, match=f"{item}: is surplus"):
        weights.read(path, SMALL)
    assert_same(weights.read_backbone(path, SMALL), backbone_of(ARRAYS))


def test_groups_without_arrays_are_no_surplus(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.create_group("layers/max_pooling2d/vars")
    assert_same(weights.read(path, SMALL), ARRAYS)


def test_the_weights_of_another_width_are_refused(path: Path) -> None:
    with pytest.raises(WeightsError, match=r"layers/conv2d/vars/0: .* \(3, 3, 3, 2\), .* needs \(3, 3, 3, 4\)"):
        weights.read(path, Architecture(2, 1 / 16))


def test_every_shape_is_compared_before_a_value_is_read(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["layers/conv2d/vars/0"][...] = np.nan
        del file["layers/dense/vars/1"]
        file["layers/dense/vars/1"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError, match="layers/dense/vars/1: has the shape"):
        weights.read(path, SMALL)


def test_another_fault_is_no_matter_of_width(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["layers/conv2d_5/vars/1"]
        file["layers/conv2d_5/vars/1"] = np.zeros(3, np.float32)

    with pytest.raises(WeightsError, match=r"has the shape \(3,\), but the network needs \(8,\)$"):
        weights.read_backbone(path, SMALL)


def test_a_kernel_that_is_a_hole_is_refused(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["layers/conv2d_7/vars/0"][...] = 0

    with pytest.raises(WeightsError, match=r"layers/conv2d_7/vars/0: holds only zeros; .* download or copy it again"):
        weights.read_backbone(path, SMALL)


@settings(
    max_examples=100,
    deadline=None,
    # HDF5 itself may crash on some files: the examples are deterministic, and it is known to survive them.
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3))
def test_flipped_bytes_give_an_error_or_finite_arrays(path: Path, flips: list[tuple[float, int]]) -> None:
    content = bytearray(path.read_bytes())
    for position, mask in flips:
        content[int(position * len(content))] ^= mask
    broken = path.with_name("broken.weights.h5")
    broken.write_bytes(content)
    try:
        found = weights.read(broken, SMALL)
    except WeightsError:
        return
    assert {name: values.shape for name, values in found.items()} == SMALL.shapes
    assert all(np.isfinite(values).all() for values in found.values())


def test_the_fingerprint_of_a_backbone_is_that_of_its_convolutions_alone() -> None:
    network, other_head = Architecture(2, width=1 / 32), Architecture(3, width=1 / 32)
    arrays = random_arrays(network)
    backbone = {name: array for name, array in arrays.items() if name.startswith("block")}
    head = {name: array for name, array in random_arrays(other_head).items() if name not in backbone}

    found = weights.backbone_fingerprint(network, arrays)

    assert weights.backbone_fingerprint(other_head, backbone | head) == found
    assert weights.backbone_fingerprint(network, random_arrays(network, seed=1)) != found
