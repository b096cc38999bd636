"""Reads the arrays of files from other programs, without executing anything in them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from catdog.errors import WeightsError
from catdog.network.hdf5 import NOT_FINITE, stored_arrays

Origin = Literal["catdog", "keras", "torch"]

OF_EXPORT: Final = "catdog.json"  # in a `.keras` file that `training.exporting` wrote
IN_KERAS_FILE: Final = "model.weights.h5"
LIMIT_BYTES: Final = 2 * 2**30  # of the weights in a `.keras` file; VGG16 with its classic head has 553 MB
BLOCK_BYTES: Final = 2**20
# A file of this kind begins with the length of its header, then the header in JSON.
LIMIT_HEADER_BYTES: Final = 10**8


@dataclass(frozen=True)
class Stored:
    """An array in an open file; `read` returns its values as float32, all finite, for the shape that was checked."""

    shape: tuple[int, ...]
    read: Callable[[], NDArray[np.float32]]


@contextmanager
def opened(path: Path) -> Iterator[tuple[Origin, Mapping[str, Stored]]]:
    """Open a file of weights: safetensors of PyTorch, `.keras` or `.h5`.

    Yields who made it, and its arrays by name. WeightsError names what else the file is, such as a pickle, and how to
    convert it.
    """
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < LIMIT_HEADER_BYTES:
        with _safetensors(path) as arrays:
            yield "torch", arrays
    elif start.startswith(b"PK") and IN_KERAS_FILE in (names := _names(path)):
        with TemporaryDirectory() as folder:
            weights = Path(folder) / path.name
            _unpack(path, weights)
            with _hdf5(weights) as arrays:
                yield "catdog" if OF_EXPORT in names else "keras", arrays
    else:
        with _hdf5(path) as arrays:
            yield "keras", arrays


@contextmanager
def _safetensors(path: Path) -> Iterator[Mapping[str, Stored]]:
    from safetensors import SafetensorError, safe_open

    def read(name: str) -> NDArray[np.float32]:
        values = file.get_tensor(name)
        if values.dtype.kind != "f" and values.dtype.name != "bfloat16":
            raise WeightsError(path.name, f"holds {values.dtype}, not floats", name)
        values = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(values).all():
            raise WeightsError(path.name, NOT_FINITE, name)
        return values

    try:
        with safe_open(path, "numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            yield {name: Stored(shape, partial(read, name)) for name, shape in shapes.items()}
    except SafetensorError as error:
        raise WeightsError(path.name, f"is not a safetensors file that can be read ({error}); copy it again") from error


@contextmanager
def _hdf5(path: Path) -> Iterator[Mapping[str, Stored]]:
    with stored_arrays(path) as arrays:

        def read(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
            arrays[name].check(shape)
            return arrays[name].read()

        shapes = {name: array.shape for name, array in arrays.items()}
        yield {name: Stored(shape, partial(read, name, shape)) for name, shape in shapes.items() if shape is not None}


def _names(path: Path) -> list[str]:
    """The names in a ZIP, none if it can't be read: `foreign_weights` says what it is."""
    try:
        with ZipFile(path) as file:
            return file.namelist()
    except (BadZipFile, ValueError, NotImplementedError):
        return []


def _unpack(path: Path, to: Path) -> None:
    """Copy the weights out of a `.keras` file, at most LIMIT_BYTES; its configuration isn't read."""
    try:
        with ZipFile(path) as file, file.open(IN_KERAS_FILE) as content, to.open("wb") as weights:
            while block := content.read(BLOCK_BYTES):
                weights.write(block)
                if weights.tell() > LIMIT_BYTES:
                    raise WeightsError(path.name, f"unpacks to more than {LIMIT_BYTES:,} bytes", IN_KERAS_FILE)
    except (BadZipFile, EOFError, RuntimeError, ValueError, NotImplementedError) as error:
        raise WeightsError(path.name, f"is damaged ({error}); copy it again", IN_KERAS_FILE) from error
