"""Reads and writes a network's arrays as `.h5` files, and validates them.

Keras 3 (`model.save_weights("*.weights.h5")`) names arrays by the class and order of their layers:
`layers/conv2d_3/vars/0`. Keras 2 named them by layer: `block2_conv2/block2_conv2/kernel:0`.

Keras 3 also loads a network from several files, by an index (`model.load_weights("model.weights.json")`).
In that layout, FILES and an INDEX, the backbone has a separate file, which is the same for every head on it.
"""

import json
import os
import re
import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from catdog.errors import WeightsError
from catdog.network import other_networks
from catdog.network.architecture import Architecture, Arrays, Layer
from catdog.network.hdf5 import StoredArray, stored_arrays

StoredType = Literal["float32", "float16"]

INDEX = "model.weights.json"
FILES = BACKBONE, HEAD = "model_00000.weights.h5", "model_00001.weights.h5"  # Keras's own name for the first one

# A whole network that is a layer or an attribute of another one keeps its own numbering, after its path there.
KERAS_3_PATH = re.compile(r"(?!optimizer/)(?P<network>(?:.*/)?)(?P<place>layers/conv2d(?:_\d+)?/vars/\d+)")

# A subclass of keras.Model stores its layers by the names of its attributes.
ATTRIBUTE_PATH = re.compile(r"(?!optimizer/)(?:.*/)?(?P<layer>block\d+_conv\d+)/vars/(?P<array>[01])")

# The file published with Keras has `block1_conv1/block1_conv1_W_1:0`; later ones `block1_conv1/block1_conv1/kernel:0`,
# after `model_weights/` if the whole model was saved, and after the name of the network if that was a layer.
# An optimiser's moments may have the same names.
KERAS_2_PATH = re.compile(
    r"(?!optimizer_weights/)(?:.*/)?(?P<layer>block\d+_conv\d+)(?:_\d+)?[/_](?P<array>kernel|bias|W|b)(?:_\d+)?(?::0)?"
)
NAMES = {"kernel": "kernel", "bias": "bias", "W": "kernel", "b": "bias", "0": "kernel", "1": "bias"}  # of arrays

ALONE = "save that network alone: model.get_layer('vgg16').save_weights('vgg16.weights.h5')"


class _Fingerprinted(NamedTuple):
    """A backbone with its cached fingerprint, while the arrays are in use: a training needs it many times."""

    arrays: Sequence[weakref.ref[NDArray[np.float32]]]
    digest: str

    def is_of(self, arrays: Sequence[NDArray[np.float32]]) -> bool:
        known = [ref() for ref in self.arrays]
        return len(known) == len(arrays) and all(one is other for one, other in zip(known, arrays, strict=True))


_last = _Fingerprinted([], "")


def read(
    path: Path, architecture: Architecture, names: Collection[str] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Read a Keras 3 file that contains exactly this network; returns the arrays with these names, None for all.

    `path` may also be an INDEX, which isn't read because its content is known. The arrays are named and ordered as in
    `architecture.shapes`. Raises WeightsError.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for file, layers in zip(files(path), _layers(path, architecture), strict=True):
        paths = _keras_3_paths(layers)
        if names is None or not paths.keys().isdisjoint(names):
            with stored_arrays(file) as arrays:
                found |= _read(file.name, arrays, paths, architecture, names)
    return found


def files(path: Path) -> tuple[Path, ...]:
    """The files with the arrays of the network at `path`."""
    return tuple(path.with_name(name) for name in FILES) if path.name == INDEX else (path,)


def read_backbone(path: Path, architecture: Architecture) -> dict[str, NDArray[np.float32]]:
    """Read the convolutions from a Keras 3 or Keras 2 file with any head.

    Returns the backbone's arrays named and ordered as in `architecture.shapes`; no kernel is all zeros. Raises
    WeightsError.
    """
    paths = _keras_3_paths(architecture.backbone_layers)
    with stored_arrays(path) as arrays:
        if convolutions := _keras_3_convolutions(path.name, arrays, set(paths.values())):
            return _read_convolutions(path.name, convolutions, paths, architecture)
        if convolutions := _named_convolutions(path.name, arrays):
            return _read_convolutions(path.name, convolutions, {name: name for name in paths}, architecture)
        some = f"it has {len(arrays)} arrays, the first is {next(iter(arrays))}" if arrays else "it has no array"
    raise WeightsError(
        path.name,
        f"holds no VGG16 in the layout of Keras 2 or Keras 3 ({some}); pass weights of VGG16, or {ALONE}",
    )


def write(path: Path, architecture: Architecture, arrays: Arrays, dtype: StoredType = "float32") -> None:
    """Write a Keras 3 file, and return when it is on the disk.

    Raises WeightsError, before anything is written, if `arrays` aren't this network's or don't fit `dtype`; OSError if
    the disk is full.
    """
    (content,) = packed(path, architecture, arrays, dtype).values()
    with path.open("wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())


def packed(
    path: Path, architecture: Architecture, arrays: Arrays, dtype: StoredType = "float32"
) -> dict[str, memoryview]:
    """The contents of the files of the network at `path`, by name; the same arrays give the same bytes.

    For an INDEX these are FILES and the index, else the one file. Raises WeightsError like `write`.
    """
    _refuse_other_names(path.name, arrays, architecture.shapes)
    stored = {name: _packed(path.name, name, arrays[name], shape, dtype) for name, shape in architecture.shapes.items()}
    places = {
        file.name: _keras_3_paths(layers) for file, layers in zip(files(path), _layers(path, architecture), strict=True)
    }
    contents = {name: _hdf5(paths, stored) for name, paths in places.items()}
    return contents | ({INDEX: _index(places, stored)} if path.name == INDEX else {})


def halved(arrays: Arrays) -> dict[str, NDArray[np.float32]]:
    """The arrays rounded to float16's values, to need half the bytes; one with larger values is unchanged."""
    return {name: half if np.isfinite(half := _half(array)).all() else array for name, array in arrays.items()}


def smallest(arrays: Iterable[NDArray[np.float32]]) -> StoredType:
    """The smallest type that stores these arrays without loss."""
    return "float16" if all(np.array_equal(_half(array), array) for array in arrays) else "float32"


def backbone_fingerprint(architecture: Architecture, arrays: Arrays) -> str:
    """sha256 of the convolutions' arrays, the same for every head on them; the arrays must not be changed in place."""
    names = (f"{layer.name}/{array}" for layer in architecture.backbone_layers for array in ("kernel", "bias"))
    backbone = [arrays[name] for name in sorted(names)]
    global _last
    if not _last.is_of(backbone):
        _last = _Fingerprinted([weakref.ref(array) for array in backbone], fingerprint(backbone))
    return _last.digest


def fingerprint(arrays: Iterable[NDArray[np.float32]]) -> str:
    """sha256 of the arrays, in their order."""
    digest = sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _layers(path: Path, architecture: Architecture) -> tuple[Sequence[Layer], ...]:
    """The layers whose arrays are in each of the `files`."""
    apart = architecture.backbone_layers, architecture.head_layers
    return apart if path.name == INDEX else (architecture.layers,)


def _hdf5(paths: Mapping[str, str], stored: Mapping[str, NDArray[np.floating]]) -> memoryview:
    """A file of the arrays at `paths`, by their names."""
    content = BytesIO()  # in memory, because on a full disk HDF5 fails with errors that can't be caught
    with h5py.File(content, "w") as file:
        for name, place in paths.items():
            file[place] = stored[name]
            file[place].parent.attrs["name"] = name.partition("/")[0]
    return content.getbuffer()


def _index(places: Mapping[str, Mapping[str, str]], stored: Mapping[str, NDArray[np.floating]]) -> memoryview:
    """The index: the file in which Keras finds each layer's arrays."""
    layers = {f"/{place.rpartition('/')[0]}": [file] for file, paths in places.items() for place in paths.values()}
    total = sum(array.nbytes for array in stored.values())
    return memoryview(json.dumps({"metadata": {"total_size": total}, "weight_map": layers}, indent=2).encode())


def _read(
    file: str,
    arrays: Mapping[str, StoredArray],
    paths: Mapping[str, str],
    architecture: Architecture,
    names: Collection[str] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Read the arrays at `paths`, by name. Every header is checked before the first value is read."""
    _refuse_other_names(file, arrays, paths.values())
    for name, path in paths.items():
        arrays[path].check(architecture.shapes[name])
    return {name: arrays[path].read() for name, path in paths.items() if names is None or name in names}


def _read_convolutions(
    file: str, arrays: Mapping[str, StoredArray], paths: Mapping[str, str], architecture: Architecture
) -> dict[str, NDArray[np.float32]]:
    try:
        found = _read(file, arrays, paths, architecture)
    except WeightsError as error:
        if hint := other_networks.other_width(arrays, paths, architecture):
            raise WeightsError(file, error.problem + hint, error.item) from None
        raise
    for name, array in found.items():
        if array.ndim > 1 and not array.any():  # as after an interrupted download
            problem = "holds only zeros; the file is damaged or incomplete: download or copy it again"
            raise WeightsError(file, problem, arrays[paths[name]].item)
    return found


def _refuse_other_names(file: str, found: Iterable[str], needed: Collection[str]) -> None:
    found = set(found)
    for item in needed:
        if item not in found:
            raise WeightsError(file, "is missing", item)
    for item in sorted(found.difference(needed)):
        raise WeightsError(file, "is surplus; the network has no such array", item)


def _half(array: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


def _packed(
    file: str, name: str, values: NDArray[np.float32], shape: tuple[int, ...], dtype: StoredType
) -> NDArray[np.floating]:
    """The values in the stored type."""
    if values.shape != shape:
        raise WeightsError(file, f"has the shape {values.shape}, but the network needs {shape}", name)
    with np.errstate(over="ignore"):
        packed = values.astype(dtype)
    if not np.isfinite(packed).all():
        raise WeightsError(file, f"holds NaN, infinity or values beyond {dtype}", name)
    return packed


def _keras_3_paths(layers: Iterable[Layer]) -> dict[str, str]:
    """Keras 3's path of each array, by its name in `Architecture.shapes`."""
    paths: dict[str, str] = {}
    counts = {"conv2d": 0, "dense": 0}
    for layer in layers:
        kind = "conv2d" if len(layer.kernel_shape) == 4 else "dense"
        group = f"layers/{kind}_{counts[kind]}" if counts[kind] else f"layers/{kind}"
        counts[kind] += 1
        paths[f"{layer.name}/kernel"] = f"{group}/vars/0"
        paths[f"{layer.name}/bias"] = f"{group}/vars/1"
    return paths


def _keras_3_convolutions(
    file: str, arrays: Mapping[str, StoredArray], needed: Collection[str]
) -> dict[str, StoredArray]:
    """The arrays of the network whose convolutions are numbered like VGG's, by their paths in it.

    If there is none, those of the network with the most convolutions, for the error message.
    """
    networks: dict[str, dict[str, StoredArray]] = {}
    for path, array in arrays.items():
        if match := KERAS_3_PATH.fullmatch(path):
            networks.setdefault(match["network"], {})[match["place"]] = array
    alike = [network for network, found in networks.items() if found.keys() == needed]
    if len(alike) > 1:
        places = ", ".join(network or "/" for network in alike)
        raise WeightsError(file, f"holds {len(alike)} networks like VGG16 ({places}); {ALONE}")
    if not networks or alike:
        return networks[alike[0]] if alike else {}
    largest = max(networks.values(), key=len)
    other_networks.refuse_other_count(file, sum(path.endswith("/0") for path in largest))
    return largest


def _named_convolutions(file: str, arrays: Mapping[str, StoredArray]) -> dict[str, StoredArray]:
    """The arrays of layers that are named like VGG's, by their names in `Architecture.shapes`."""
    convolutions: dict[str, StoredArray] = {}
    for path, array in arrays.items():
        if match := KERAS_2_PATH.fullmatch(path) or ATTRIBUTE_PATH.fullmatch(path):
            name = f"{match['layer']}/{NAMES[match['array']]}"
            if name in convolutions:
                raise WeightsError(file, f"is a second {name}, in addition to {convolutions[name].item}", path)
            convolutions[name] = array
    other_networks.refuse_vgg19(file, {name.partition("/")[0] for name in convolutions})
    return convolutions
