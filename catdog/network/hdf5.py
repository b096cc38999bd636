"""Reads float arrays from an untrusted HDF5 file.

Such a file can't make us read other files, run code, or allocate an array larger than requested: only hard links are
followed, attributes and types other than floats are ignored, and an array is read only after its header was checked.
HDF5 itself isn't safe: forged metadata can still crash its C library (1.14) or exhaust the memory.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import prod
from os import strerror
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s, h5t, h5z
from numpy.typing import NDArray

from catdog.errors import WeightsError

MAX_DEPTH = 16  # of groups within groups; Keras needs 7
FLOATS = (h5t.IEEE_F32LE, h5t.IEEE_F32BE, h5t.IEEE_F16LE, h5t.IEEE_F16BE)

NOT_FINITE = "holds NaN or infinity: the training that produced it diverged, or the file is damaged; use another one"

# The exceptions of zlib for invalid bytes, and of h5py, which maps HDF5's errors to various Python exceptions.
CORRUPT = (OSError, RuntimeError, KeyError, ValueError, TypeError, zlib.error)


class _Damaged(ValueError):
    """Damage in stored bytes that this module found itself."""


@contextmanager
def stored_arrays(path: Path) -> Iterator[dict[str, "StoredArray"]]:
    """Open a file and yield its arrays by their paths in it, without reading them.

    Raises WeightsError if the file is not HDF5, is truncated, or has anything but arrays, groups and hard links.
    """
    with _opened(path) as file:
        with _corruption_refused(path.name):
            found = dict(_walk(path.name, file.id, "", set()))
        yield {item: StoredArray(path.name, item, dataset) for item, dataset in found.items()}


@dataclass(frozen=True)
class StoredArray:
    """One array of an open file. `item` is its path in that file, such as "layers/conv2d/vars/0"."""

    file: str
    item: str
    dataset: Any  # h5py.h5d.DatasetID

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape from the header; None if reading it could open other files, or if it is damaged."""
        try:
            creation = self.dataset.get_create_plist()
            elsewhere = creation.get_layout() == h5d.VIRTUAL or creation.get_external_count()
            return None if elsewhere else tuple(self.dataset.shape)
        except CORRUPT:
            return None

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise WeightsError unless the header describes plain floats of this shape, stored inside this file."""
        with _corruption_refused(self.file, self.item):
            problem = self._problem(shape)
        if problem:
            raise WeightsError(self.file, problem, self.item)

    def read(self) -> NDArray[np.float32]:
        """The values, all finite. Only for an array that passed `check`, which bounds the memory needed."""
        with _corruption_refused(self.file, self.item):
            chunked = self.dataset.get_create_plist().get_layout() == h5d.CHUNKED
            values = _widened(self._read_chunks() if chunked else self._read_whole())
        if not np.isfinite(values).all():
            raise WeightsError(self.file, NOT_FINITE, self.item)
        return np.ascontiguousarray(values, np.float32)

    def _problem(self, shape: tuple[int, ...]) -> str | None:
        creation, stored_type = self.dataset.get_create_plist(), self.dataset.get_type()
        # This check comes first: reading the shape of a virtual dataset can already open other files.
        if creation.get_layout() == h5d.VIRTUAL:
            return "is a virtual dataset, whose values are in other files; store the values themselves"
        if creation.get_external_count():
            return "is stored in another file; store the values themselves"
        if _filters(creation) not in ([], [h5z.FILTER_DEFLATE]):
            numbers = ", ".join(map(str, _filters(creation)))
            return f"went through HDF5's filters {numbers}; only gzip ({h5z.FILTER_DEFLATE}) or none is supported"
        if not _is_bfloat16(stored_type) and not any(stored_type.equal(accepted) for accepted in FLOATS):
            return f"holds {_type_name(stored_type)}s; only float32 and float16 are supported{_in_float32(stored_type)}"
        if self.dataset.shape != shape:
            found = self.dataset.shape
            return f"has the shape {found}, but the network needs {shape}{_reordered(found, shape)}"
        if creation.get_layout() == h5d.CHUNKED and any(np.greater(creation.get_chunk(), shape)):
            return f"is stored in chunks of {creation.get_chunk()}, larger than itself, {shape}"
        if not self.dataset.get_storage_size():
            return "was declared, but no values were stored"
        return None

    def _read_whole(self) -> NDArray[Any]:
        # As stored: HDF5 widens float16 25 times slower than numpy does.
        values = np.empty(self.dataset.shape, self.dataset.dtype)
        self.dataset.read(h5s.ALL, h5s.ALL, values)
        return values

    def _read_chunks(self) -> NDArray[Any]:
        creation = self.dataset.get_create_plist()
        gzip, chunk = bool(_filters(creation)), creation.get_chunk()
        values = np.empty(self.dataset.shape, self.dataset.dtype)
        for corner in product(*map(range, [0] * values.ndim, values.shape, chunk)):
            data = self._chunk(corner, prod(chunk) * values.itemsize, gzip)
            place = values[tuple(slice(start, start + length) for start, length in zip(corner, chunk, strict=True))]
            # Chunks at the edge are stored in full and extend beyond it.
            place[...] = np.frombuffer(data, values.dtype).reshape(chunk)[tuple(map(slice, place.shape))]
        return values

    def _chunk(self, corner: tuple[int, ...], length_bytes: int, gzip: bool) -> bytes:
        """The decompressed chunk that begins at `corner`."""
        stored_bytes = self.dataset.get_chunk_info_by_coord(corner).size
        # h5py allocates its buffer by one number in the file, and HDF5 fills it by another.
        if stored_bytes > 2 * length_bytes + 64 if gzip else stored_bytes != length_bytes:
            raise _Damaged(f"a chunk of {length_bytes} bytes can't be stored in {stored_bytes}")
        filters_skipped, data = self.dataset.read_direct_chunk(corner)
        return _inflate(data, length_bytes) if gzip and not filters_skipped else data


def _is_bfloat16(stored: h5t.TypeID) -> bool:
    """Whether it is Keras's storage of bfloat16: an opaque type of two bytes."""
    return isinstance(stored, h5t.TypeOpaqueID) and stored.get_size() == 2


def _widened(values: NDArray[Any]) -> NDArray[Any]:
    """bfloat16 as float32, whose upper half it is; anything else unchanged."""
    if values.dtype.kind != "V":
        return values
    return (np.ascontiguousarray(values).view("<u2").astype(np.uint32) << 16).view(np.float32)


def _in_float32(stored: h5t.TypeID) -> str:
    if not stored.equal(h5t.IEEE_F64LE):
        return ""
    return "; in Keras: build the model after keras.config.set_floatx('float32'), then load_weights and save_weights"


def _reordered(found: tuple[int, ...], needed: tuple[int, ...]) -> str:
    """Advice for a kernel in Theano's order (out, in, height, width), else ""."""
    if len(needed) != 4 or found != (needed[3], needed[2], needed[0], needed[1]):
        return ""
    turned = "kernel[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)"
    return f"; that is Theano's order: use the file for TensorFlow, or transpose each kernel: {turned}"


def _inflate(data: bytes, length: int) -> bytes:
    """Decompress to exactly `length` bytes; HDF5's own filter would unpack a bomb of any size."""
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, length + 1)
    if len(inflated) != length or not inflater.eof:
        raise _Damaged(f"a chunk doesn't unpack to its {length} bytes")
    return inflated


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(path, "r")
    except CORRUPT as error:
        from catdog.network import foreign_weights  # which a start has no use for

        number = getattr(error, "errno", None)
        problem = foreign_weights.missing(path) or (strerror(number) if number else foreign_weights.kind(path))
        raise WeightsError(path.name, problem) from error
    with file:
        yield file


@contextmanager
def _corruption_refused(file: str, item: str | None = None) -> Iterator[None]:
    try:
        yield
    except CORRUPT as error:
        raise WeightsError(file, f"is corrupt ({_reason(error)})", item) from error


def _reason(error: Exception) -> str:
    """The problem in public words: HDF5's own messages may contain paths and addresses."""
    number = getattr(error, "errno", None)
    return str(error) if isinstance(error, _Damaged) else strerror(number) if number else type(error).__name__


def _walk(file: str, group: h5g.GroupID, prefix: str, seen: set[int]) -> Iterator[tuple[str, h5d.DatasetID]]:
    """Every array under `group` by its path. `seen` are the addresses of the objects found so far."""
    for name, link in _links(group):
        item = prefix + name.decode(errors="replace")
        # HDF5 would treat a slash within a name as a path, and follow links along it that weren't checked.
        if link != h5l.TYPE_HARD or b"/" in name:
            raise WeightsError(file, "is a link that may lead anywhere; only hard links are supported", item)
        found = h5o.open(group, name)
        address = h5o.get_info(found).addr
        if address in seen or item.count("/") >= MAX_DEPTH:
            raise WeightsError(file, "is linked more than once, or nested too deep", item)
        seen.add(address)
        if isinstance(found, h5g.GroupID):
            yield from _walk(file, found, f"{item}/", seen)
        elif isinstance(found, h5d.DatasetID):
            yield item, found
        else:
            raise WeightsError(file, "is neither a group nor an array", item)


def _links(group: h5g.GroupID) -> list[tuple[bytes, int]]:
    """Names and kinds of a group's links, without following them."""
    links: list[tuple[bytes, int]] = []
    group.links.iterate(lambda name, info: links.append((name, info.type)), info=True)
    return links


def _filters(creation: Any) -> list[int]:
    """HDF5's numbers of the filters that were applied to the values, in order."""
    return [creation.get_filter(index)[0] for index in range(creation.get_nfilters())]


def _type_name(stored: h5t.TypeID) -> str:
    """A type in words, such as "8-byte float", without inspecting types defined by the file."""
    return f"{stored.get_size()}-byte {type(stored).__name__.removeprefix('Type').removesuffix('ID').lower()}"
