"""Writes a version in the format of another framework, whole or not at all.

An exported model needs nothing of catdog: it turns uint8 RGB pixels (n, 224, 224, 3) into calibrated probabilities
float32 (n, classes), and contains the names of the classes.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from catdog import images
from catdog.errors import CatdogError, DatasetError, ImageError
from catdog.network.architecture import INPUT_PIXELS
from catdog.system import durable
from catdog.versions.version import Version

Format = Literal["onnx", "saved_model", "tflite", "openvino", "keras"]
Precision = Literal["float32", "int8"]

MOST_PHOTOS: Final = 300  # for the ranges of int8, as for the graph that the service runs

INPUT, OUTPUT = "pixels", "probabilities"  # the names in every format
ABOUT: Final = "catdog.json"  # the file with the description, in formats that are a folder or can contain files

# Formats in which a network can be in int8, and whether photos are needed to set the ranges of its activations. For
# OpenVINO the version has such a graph already.
NEEDS_PHOTOS: Final[dict[Format, bool]] = {"onnx": True, "tflite": True, "openvino": False}


class ExportError(CatdogError):
    """A version that can't be written in the requested format."""


def check(version: Version, format: Format, precision: Precision, has_photos: bool) -> None:
    """Raise ExportError, before anything slow begins, if the version can't be written so."""
    if precision == "float32":
        return
    if format not in NEEDS_PHOTOS:
        raise ExportError(f"the format {format} has no int8; export it in float32, or one of {', '.join(NEEDS_PHOTOS)}")
    if NEEDS_PHOTOS[format] and not has_photos:
        raise ExportError("int8 in this format needs photos to set the ranges of its activations: add --data DIR")
    if not NEEDS_PHOTOS[format] and version.manifest.quantization is None:
        raise ExportError(
            f"version {version.number} has no int8 graph; publish it with one: python -m training quantize --data DIR"
        )


def write(
    version: Version, format: Format, precision: Precision, path: Path, photos: NDArray[np.uint8] | None = None
) -> None:
    """Write the version to `path`, a file or a folder, which is replaced if it exists.

    `photos` (n, 224, 224, 3) set the ranges of activations for int8. ExportError, BrokenVersion, ImportError if a
    package of the format is missing, OSError if the disk is full.
    """
    check(version, format, precision, photos is not None)
    version.verify()
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".catdog-", dir=path.parent) as folder:
        made = Path(folder) / f"model{path.suffix}"
        _write(version, format, photos if precision == "int8" else None, precision, made)
        durable.sync_tree(made) if made.is_dir() else durable.sync(made)
        if path.is_dir():
            shutil.rmtree(path)
        made.replace(path)
        durable.sync(path.parent)


def about(version: Version, precision: Precision) -> dict[str, Any]:
    """What a program needs to know to use the exported model."""
    return {
        "classes": list(version.manifest.classes),
        "input": f"{INPUT}: uint8 RGB (n, {INPUT_PIXELS}, {INPUT_PIXELS}, 3), 0-255: the whole photo upright, resized",
        "output": f"{OUTPUT}: float32 (n, {len(version.manifest.classes)}), calibrated, in the order of the classes",
        "precision": precision,
        "version": version.number,
        "weights_sha256": version.manifest.weights.sha256,
    }


def _write(
    version: Version, format: Format, photos: NDArray[np.uint8] | None, precision: Precision, path: Path
) -> None:
    """Each format is imported only here, because its packages are large, and may be missing."""
    described = json.dumps(about(version, precision))
    if format == "openvino":
        from training.exporting import openvino_model

        openvino_model.write(version, precision, described, path)
        return
    from training.exporting import keras_model

    model = keras_model.build(version.network("f32"), version.manifest.calibration)
    match format:
        case "keras":
            keras_model.write(model, described, path)
        case "saved_model":
            keras_model.write_saved_model(model, described, path)
        case "tflite":
            from training.exporting import tflite_model

            tflite_model.write(model, described, photos, path)
        case "onnx":
            from training.exporting import onnx_model

            onnx_model.write(model, described, photos, path)


def read_photos(folder: Path, most: int = MOST_PHOTOS) -> NDArray[np.uint8]:
    """Up to `most` photos below `folder`, drawn at random, always the same: uint8 RGB (n, 224, 224, 3).

    Labels don't matter. Files that can't be read as photos are left out; DatasetError if that leaves none.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = []
    for place in np.random.default_rng(0).permutation(len(files)):
        try:
            found.append(images.decode(files[place].read_bytes()))
        except ImageError:
            continue
        if len(found) == most:
            break
    if not found:
        raise DatasetError(f"{folder} contains no photo that can be read")
    return np.stack(found)
