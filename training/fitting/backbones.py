"""Loads the backbone that a training starts from."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catdog.errors import BrokenVersion, NoChampion, RecipeError
from catdog.faults import shown
from catdog.network import weights
from catdog.network.architecture import Architecture, Int8Graph, Network
from catdog.versions.ood import Detector
from catdog.versions.store import Store, Version
from training.data import imagenet, trained_on
from training.data.resumable_fetch import Progress
from training.data.trained_on import TrainedOn
from training.fitting.config import Config

logger = logging.getLogger(__name__)

NAMED_CLASSES = 5  # listed in a sentence


@dataclass(frozen=True)
class Backbone:
    """Arrays of an architecture's convolutions, and the version that they come from, if any, with its whole network.

    The classes and head of `architecture` say nothing: a new head follows.
    `detector` is that version's out-of-distribution detector for its `classes`, if it was fitted together with the
    convolutions and not only with a head; `trained_on` are the photos that it was trained on.
    """

    architecture: Architecture
    arrays: dict[str, NDArray[np.float32]]
    parent: int | None = None
    network: Network | None = None
    int8: Int8Graph | None = None  # of these arrays, for a pooled head
    classes: tuple[str, ...] = ()
    detector: Detector | None = None
    trained_on: TrainedOn = field(default_factory=TrainedOn.nothing)

    @property
    def fingerprint(self) -> str:
        """sha256 of the arrays."""
        return weights.backbone_fingerprint(self.architecture, self.arrays)


def resolved(config: Config, store: Store, classes: Sequence[str]) -> tuple[Config, str | None]:
    """The configuration with "auto" replaced by the backbone for `classes`, and a line that says which and why.

    The line is None if a backbone other than "auto" was requested.
    """
    if config.backbone != "auto":
        return config, None
    if config.strategy == "compress":
        return replace(config, backbone="champion"), None
    of_imagenet = replace(config, backbone="imagenet")
    try:
        champion = store.open(store.champion())
    except NoChampion:
        return of_imagenet, "the backbone is ImageNet's VGG16, because no version is in service"
    known = f"version {champion.number}: {_named(champion.manifest.classes)}"
    if set(classes) == set(champion.manifest.classes):
        line = f"the backbone is the champion's, because the classes are its own ({known})"
        return replace(config, backbone="champion"), line
    return of_imagenet, f"the backbone is ImageNet's VGG16, because the classes aren't those of the champion ({known})"


def load(
    config: Config,
    store: Store,
    folder: Path,
    imagenet_weights: Path | None = None,
    progress: Progress | None = None,
) -> Backbone:
    """The backbone that `config` names; downloads are stored in `folder`.

    `imagenet_weights` is a file with ImageNet's weights, used instead of a download. `progress` is called during a
    download.
    """
    if config.backbone == "random":
        return Backbone(Architecture(2, config.width), random(config.width, config.seed))
    if re.fullmatch(r"champion|\d+", config.backbone):
        return _of_version(store, config.backbone)
    if config.backbone == "imagenet":
        return _of_file(imagenet.weights_file(folder, imagenet_weights, progress), 1.0)
    file = Path(config.backbone)
    if not file.is_file():  # for example a pipe, which would block
        raise RecipeError(
            f"--backbone {shown(config.backbone)} is not a file, nor auto, champion, a version number, random, imagenet"
        )
    imagenet.refuse_damaged(file)
    return _of_file(file, config.width)


def _named(classes: Sequence[str]) -> str:
    more = len(classes) - NAMED_CLASSES
    return ", ".join(classes[:NAMED_CLASSES]) + (f" and {more:,} more" if more > 0 else "")


def _of_file(file: Path, width: float) -> Backbone:
    architecture = Architecture(2, width)
    arrays = weights.read_backbone(file, architecture)
    return Backbone(architecture, arrays, trained_on=TrainedOn.nothing(is_complete=False))


def random(width: float, seed: int) -> dict[str, NDArray[np.float32]]:
    """Random kernels, normal with fan-out scaling, zero biases: He et al., "Delving Deep into Rectifiers" (2015)."""
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
    graph = (
        network.int8 if network.architecture.head == "pooled" else None
    )  # with the classic head the graph includes the head
    return Backbone(
        network.architecture,
        arrays,
        version.number,
        network,
        graph,
        version.manifest.classes,
        _detector(version),
        trained_on.read(version.path),
    )


def _detector(version: Version) -> Detector | None:
    """The detector of the version that trained the convolutions: later trainings may not have a head's photos."""
    detector, number = version.detector(), version.number
    if detector is None or (version.manifest.lineage.strategy == "head" and detector.known.set_by is None):
        return None
    known = detector.known.model_copy(update={"set_by": detector.known.set_by or number})
    return replace(detector, known=known)


def _network(version: Version) -> Network:
    """The network with its int8 graph, if that is intact: whether it served with the old head says little here."""
    if version.manifest.quantization is not None:
        try:
            return version.network("int8")
        except BrokenVersion as error:
            logger.warning("%s; training continues without it", error)
    return version.network("f32")
