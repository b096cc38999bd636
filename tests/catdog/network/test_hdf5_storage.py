"""However an HDF5 file stores an array, it is read whole or refused: links, filters, chunks."""

import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from catdog.errors import WeightsError
from tests.catdog.network.test_hdf5 import SHAPE, VALUES, read

LINKS: dict[str, Callable[[h5py.File], object]] = {
    "soft": lambda file: file.create_group("group").__setitem__("values", h5py.SoftLink("/values")),
    "dangling": lambda file: file.create_group("group").__setitem__("values", h5py.SoftLink("/nowhere")),
    "external": lambda file: file.create_group("group").__setitem__("values", h5py.ExternalLink("whole.h5", "/values")),
    "external group": lambda file: file.__setitem__("group", h5py.ExternalLink("whole.h5", "/")),
}


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_that_is_not_hard_is_refused(path: Path, kind: str) -> None:
    for each in (path, path.with_name("whole.h5")):
        with h5py.File(each, "w") as file:
            file["values"] = VALUES
    with h5py.File(path, "a") as file:
        LINKS[kind](file)
    with pytest.raises(WeightsError, match=r"group.*: is a link that may lead anywhere"):
        read(path)


def test_a_slash_within_a_name_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group-values"] = VALUES
    path.write_bytes(path.read_bytes().replace(b"group-values", b"group/values"))
    with pytest.raises(WeightsError, match="is a link that may lead anywhere"):
        read(path)


@pytest.mark.parametrize("target", ["/", "/group", "/group/values"])
def test_an_object_that_is_linked_twice_is_refused_so_that_no_circle_hangs(path: Path, target: str) -> None:
    with h5py.File(path, "w") as file:
        file["group/values"] = VALUES
        file["group/again"] = file[target]
    with pytest.raises(WeightsError, match="is linked more than once"):
        read(path)


def test_groups_nested_without_end_are_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["group/" * 2000 + "values"] = VALUES
    with pytest.raises(WeightsError, match="nested too deep"):
        read(path)


def test_values_stored_in_another_file_are_refused(path: Path) -> None:
    path.with_name("secret").write_bytes(VALUES.tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("group/values", SHAPE, "f4", external=[(path.with_name("secret"), 0, VALUES.nbytes)])
    with pytest.raises(WeightsError, match="group/values: is stored in another file"):
        read(path)


def test_a_virtual_dataset_is_refused(path: Path) -> None:
    with h5py.File(path.with_name("whole.h5"), "w") as file:
        file["values"] = VALUES
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:] = h5py.VirtualSource(path.with_name("whole.h5"), "values", SHAPE)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("group/values", layout)
    with pytest.raises(WeightsError, match="group/values: is a virtual dataset"):
        read(path)


@pytest.mark.parametrize(
    "filters",
    [{"shuffle": True, "compression": "gzip"}, {"fletcher32": True}, {"compression": "lzf"}, {"scaleoffset": 2}],
    ids=str,
)
def test_every_filter_but_gzip_is_refused(path: Path, filters: dict[str, object]) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/values", data=VALUES, **filters)
    with pytest.raises(WeightsError, match=r"group/values: went through HDF5's filters .* only gzip"):
        read(path)


def test_gzip_twice_is_refused(path: Path) -> None:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk(SHAPE)
    creation.set_deflate(1)
    creation.set_deflate(1)
    with h5py.File(path, "w") as file:
        h5py.h5d.create(
            file.create_group("group").id, b"values", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(SHAPE), creation
        )
    with pytest.raises(WeightsError, match="filters 1, 1"):
        read(path)


CHUNKS = {
    "a bomb": (zlib.compress(bytes(1 << 26)), True),
    "too short": (zlib.compress(VALUES[1:].tobytes()), True),
    "cut short": (zlib.compress(VALUES.tobytes())[:-1], True),
    "no gzip": (VALUES.tobytes(), True),
    "raw and too long": (bytes(1 << 20), False),
    "raw and too short": (bytes(4), False),
}


@pytest.mark.parametrize("kind", CHUNKS)
def test_a_chunk_that_does_not_unpack_to_its_size_is_refused(path: Path, kind: str) -> None:
    chunk, gzip = CHUNKS[kind]
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("group/values", SHAPE, "f4", chunks=SHAPE, compression="gzip" if gzip else None)
        dataset.id.write_direct_chunk((0, 0), chunk)
    with pytest.raises(WeightsError, match="group/values: is corrupt"):
        read(path)


def test_a_chunk_that_gzip_could_not_shrink_is_read(path: Path) -> None:
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("group/values", SHAPE, "f4", chunks=SHAPE, compression="gzip")
        dataset.id.write_direct_chunk((0, 0), VALUES.tobytes(), filter_mask=1)
    np.testing.assert_array_equal(read(path), VALUES)


def test_chunks_larger_than_their_array_are_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/values", data=VALUES, chunks=(5, 8), maxshape=(5, None))
    with pytest.raises(WeightsError, match=r"chunks of \(5, 8\), larger than itself"):
        read(path)


@pytest.mark.parametrize("chunks", [None, (1, 7)])
def test_an_array_without_values_is_refused(path: Path, chunks: tuple[int, ...] | None) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/values", SHAPE, "f4", chunks=chunks)
    with pytest.raises(WeightsError, match="no values were stored"):
        read(path)


def test_an_array_with_a_chunk_missing_is_refused(path: Path) -> None:
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("group/values", SHAPE, "f4", chunks=(1, 7), compression="gzip")
        dataset[:4] = VALUES[:4]
    with pytest.raises(WeightsError, match="group/values: is corrupt"):
        read(path)
