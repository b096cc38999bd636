"""Arrays of floats are read from HDF5 files; other types, shapes and values are refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from catdog.errors import WeightsError
from catdog.network import hdf5
from catdog.network.hdf5 import stored_arrays

SHAPE = (5, 7)
VALUES = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
OTHER_TYPES = {
    "float64": np.float64,
    "int32": np.int32,
    "bool": np.bool_,
    "opaque": np.dtype("V4"),
    "compound": np.dtype([("real", "f4"), ("more", "f4")]),
    "string": h5py.string_dtype(),
    "vlen": h5py.vlen_dtype(np.float32),
    "reference": h5py.ref_dtype,
    "enum": h5py.enum_dtype({"cat": 0, "dog": 1}),
    "array": np.dtype(("f4", (2,))),
}


def read(path: Path, shape: tuple[int, ...] = SHAPE) -> NDArray[np.float32]:
    """Read the array "group/values"."""
    with stored_arrays(path) as arrays:
        assert list(arrays) == ["group/values"]
        arrays["group/values"].check(shape)
        return arrays["group/values"].read()


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", ">f2"])
@pytest.mark.parametrize(
    "storage",
    [{}, {"chunks": (2, 3)}, {"chunks": (2, 3), "compression": "gzip"}, {"chunks": SHAPE, "maxshape": (None, 9)}],
    ids=["contiguous", "chunks", "gzip", "resizable"],
)
def test_floats_come_out_as_they_were_stored(path: Path, dtype: str, storage: dict[str, object]) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/values", data=VALUES.astype(dtype), **storage)
    found = read(path)
    np.testing.assert_array_equal(found, VALUES.astype(dtype).astype(np.float32))
    assert found.dtype == np.float32
    assert found.dtype.isnative
    assert found.flags.c_contiguous


@pytest.mark.parametrize("storage", [{}, {"chunks": (2, 3), "compression": "gzip"}], ids=["contiguous", "gzip"])
def test_bfloat16_comes_out_as_it_was_stored(path: Path, storage: dict[str, object]) -> None:
    """Keras stores it as an opaque type of two bytes."""
    upper_halves = (VALUES.view(np.uint32) >> 16).astype("<u2")
    with h5py.File(path, "w") as file:
        file.create_dataset("group/values", data=upper_halves.view("V2"), **storage)

    np.testing.assert_array_equal(read(path), (upper_halves.astype(np.uint32) << 16).view(np.float32))


def test_bfloat16_that_is_not_finite_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group/values"] = np.full(SHAPE, 0x7F80, "<u2").view("V2")
    with pytest.raises(WeightsError, match="holds NaN or infinity"):
        read(path)


def test_float64_is_refused_with_the_way_to_float32(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group/values"] = VALUES.astype(np.float64)
    with pytest.raises(WeightsError, match=r"8-byte floats.*set_floatx\('float32'\)"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_a_file_that_is_not_hdf5_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"^some\.h5: not an HDF5 file"):
        read(path)


def test_a_path_that_is_no_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        read(tmp_path / "nowhere.h5")
    with pytest.raises(WeightsError, match="Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize("left", [0.99, 0.5, 0.1])
def test_a_truncated_file_is_refused(path: Path, left: float) -> None:
    with h5py.File(path, "w") as file:
        file["group/values"] = VALUES
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * left)])
    with pytest.raises(WeightsError, match="truncated"):
        read(path)


@pytest.mark.parametrize("name", OTHER_TYPES)
def test_every_other_type_is_refused(path: Path, name: str) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/values", SHAPE, OTHER_TYPES[name])
    with pytest.raises(WeightsError, match=r"group/values: holds .* only float32 and float16"):
        read(path)


def test_a_named_type_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group/values"] = np.dtype("f4")
    with pytest.raises(WeightsError, match="group/values: is neither a group nor an array"):
        read(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_a_value_that_is_not_finite_is_refused(path: Path, value: float, dtype: str) -> None:
    values = VALUES.astype(dtype)
    values[-1, -1] = value
    with h5py.File(path, "w") as file:
        file["group/values"] = values
    with pytest.raises(WeightsError, match="group/values: holds NaN or infinity"):
        read(path)


@pytest.mark.parametrize("shape", [(7, 5), (5, 7, 1), (35,), (), (5, 6), (2**40, 2**20)])
def test_another_shape_is_refused_with_both_shapes(path: Path, shape: tuple[int, ...]) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/values", shape, np.float32)
    with pytest.raises(WeightsError) as refused:
        read(path)
    assert refused.value.item == "group/values"
    assert str(shape) in refused.value.problem
    assert str(SHAPE) in refused.value.problem


def test_an_array_without_extent_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group/values"] = h5py.Empty("f4")
    with pytest.raises(WeightsError, match="has the shape None"):
        read(path, ())


def test_attributes_are_left_alone(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group/values"] = VALUES
        file["group/values"].attrs["dtype"] = "bfloat16"
        file["group"].attrs.create("vlen", [b"a" * 1000], dtype=h5py.string_dtype())
        file.attrs["reference"] = file["group"].ref
    np.testing.assert_array_equal(read(path), VALUES)


def test_what_the_library_says_of_a_read_that_failed_is_not_passed_on(tmp_path: Path) -> None:
    """HDF5's message contains the whole path and memory addresses."""
    with pytest.raises(WeightsError) as refused, hdf5._corruption_refused("model.weights.h5", "layers/conv2d/vars/0"):
        raise OSError(f"Can't read data (filename = '{tmp_path}', buf = 0x55e237dcbb08)")

    assert str(refused.value) == "model.weights.h5: layers/conv2d/vars/0: is corrupt (OSError)"
