"""Where the convolutions of a training start from: a version of ours, chance, ImageNet, or a file."""

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catdog import weights
from catdog.architecture import Architecture
from catdog.errors import BrokenVersion, DownloadError, RecipeError
from catdog.faults import shown
from catdog.manifest import Unknown
from catdog.network import Int8Graph, Network
from catdog.store import Store, Version
from training import trained_on
from training.config import Config
from training.trained_on import TrainedOn

logger = logging.getLogger(__name__)

# As Keras publishes them: converted from the authors' own, without the head.
IMAGENET_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
IMAGENET_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{IMAGENET_FILE}"
IMAGENET_MD5 = "6d6bbae143d832006294945121d1f1fc"


@dataclass(frozen=True)
class Backbone:
    """Arrays of the convolutions at a width; `parent` is the version that they are from, if one.

    `unknown` is when that version calls a photo unknown, `trained_on` are the photos that it was trained on.
    """

    width: float
    arrays: dict[str, NDArray[np.float32]]
    parent: int | None = None
    int8: Int8Graph | None = None  # of these arrays, for a pooled head
    unknown: Unknown | None = None
    trained_on: TrainedOn = field(default_factory=TrainedOn.nothing)

    @property
    def fingerprint(self) -> str:
        """sha256 of the arrays."""
        return weights.backbone_fingerprint(Architecture(2, self.width), self.arrays)


def load(config: Config, store: Store, folder: Path) -> Backbone:
    """The backbone that `config` names; what has to be downloaded for it is kept in `folder`."""
    if config.backbone == "random":
        return Backbone(config.width, random(config.width, config.seed))
    if re.fullmatch(r"champion|\d+", config.backbone):
        return _of_version(store, config.backbone)
    file = _download_imagenet(folder) if config.backbone == "imagenet" else Path(config.backbone)
    if not file.is_file():  # a pipe would be waited for
        raise RecipeError(
            f"--backbone {shown(config.backbone)} is no file, and none of champion, a number, random, imagenet"
        )
    width = 1.0 if config.backbone == "imagenet" else config.width
    arrays = weights.read_backbone(file, Architecture(2, width))
    return Backbone(width, arrays, trained_on=TrainedOn.nothing(is_complete=False))


def random(width: float, seed: int) -> dict[str, NDArray[np.float32]]:
    """Normal by the fan-out, biases zero: He et al., "Delving Deep into Rectifiers" (2015)."""
    chance = np.random.default_rng(seed)
    arrays = {}
    for layer in Architecture(2, width).backbone_layers:
        height, across, _, out = layer.kernel_shape
        deviation = np.sqrt(2 / (height * across * out))
        arrays[f"{layer.name}/kernel"] = chance.normal(0, deviation, layer.kernel_shape).astype(np.float32)
        arrays[f"{layer.name}/bias"] = np.zeros(layer.bias_shape, np.float32)
    return arrays


def _of_version(store: Store, name: str) -> Backbone:
    version = store.open(store.champion() if name == "champion" else int(name))
    network = _network(version)
    convolutions = {layer.name for layer in network.architecture.backbone_layers}
    arrays = {name: array for name, array in network.arrays.items() if name.split("/")[0] in convolutions}
    graph = network.int8 if network.architecture.head == "pooled" else None  # the classic head is part of it
    manifest, known = version.manifest, trained_on.read(version.path)
    return Backbone(manifest.width, arrays, version.number, graph, manifest.unknown, known)


def _network(version: Version) -> Network:
    """With the int8 graph where there is a whole one: whether it served with the old head says little of the new."""
    if version.manifest.quantization is not None:
        try:
            return version.network("int8")
        except BrokenVersion as error:
            logger.warning("%s; it is done without", error)
    return version.network("f32")


def _download_imagenet(folder: Path) -> Path:
    import keras

    try:
        file = keras.utils.get_file(
            IMAGENET_FILE, IMAGENET_URL, file_hash=IMAGENET_MD5, cache_dir=folder, cache_subdir=""
        )
    except Exception as error:  # Keras raises nothing narrower
        raise DownloadError(
            f"ImageNet's weights can't be had from {IMAGENET_URL} ({error});"
            f" fetch them elsewhere and pass the file: --backbone PATH/{IMAGENET_FILE}"
        ) from error
    return Path(file)
