"""Prepares the measured model versions in temporary stores."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import photos
from benchmarks.harness.processes import ROOT
from catdog.images import FINGERPRINT
from catdog.network import weights
from catdog.network.architecture import Architecture, Int8Graph, Network
from catdog.system.location import Remote
from catdog.transfer import archive
from catdog.versions import golden
from catdog.versions.manifest import Dataset, Lineage, Manifest, WeightsFile
from catdog.versions.store import SHIPPED, Store
from catdog.versions.version import INT8_GRAPH, Version
from training.data.dataset import Photo
from training.fitting import backbones, quantization

CLASSES = ("cat", "dog")
SEED = 0
CALIBRATING = 20  # photos
TEMPERATURE = 30.0  # the logits of random arrays are large; this moves the probabilities away from 0 and 1
SLIM = ROOT / "models" / "slim.zip"  # version 1, compressed: fast compared with the rest of the service


@dataclass(frozen=True)
class Model:
    """A version and its name in results."""

    name: str
    version: Version

    @property
    def is_full_width(self) -> bool:
        return self.version.manifest.width == 1.0


def shipped(models: Path, folder: Path) -> Model:
    """A copy of the shipped version; VersionNotFound if the store has none."""
    version = Store(models).open(SHIPPED)
    shutil.copytree(version.path, folder / str(SHIPPED))
    return Model(f"version {SHIPPED}, width {version.manifest.width:g}", Store(folder).open(SHIPPED))


def slim(folder: Path) -> Model:
    """The compressed version of the repository, published in a store of its own."""
    version = archive.publish(SLIM, Store(folder))
    return Model(f"slim version, width {version.manifest.width:g}", version)


# The shipped versions by name.
MODELS: Mapping[str, Callable[[Path], Model]] = {"slim": slim, "full": partial(shipped, ROOT / "models")}


def random(width: float, folder: Path | Remote) -> Version:
    """VGG16 with random arrays: as fast as a trained one, and deterministic."""
    architecture = Architecture(len(CLASSES), width)
    with Store(folder).draft() as draft:
        weights.write(draft.weights_path, architecture, _arrays(architecture))
        file = WeightsFile.of(draft.weights_path, "float32")
        return draft.publish(lambda number: _manifest(number, width, file))


def with_another_backbone(version: Version) -> Version:
    """Publish a nearly identical network into a version's store that isn't a head on the same backbone."""
    manifest, arrays = version.manifest, version.load()
    arrays["block1_conv1/bias"] = arrays["block1_conv1/bias"] + np.float32(0.01)
    return _publish(manifest, Network(manifest.architecture, arrays), Store(version.path.parent))


def _publish(like: Manifest, network: Network, store: Store) -> Version:
    """Publish a network that is like the version of a manifest, with its own int8 graph."""
    with store.draft() as draft, TemporaryDirectory() as aside:
        weights.write(draft.weights_path, network.architecture, network.arrays)
        file = WeightsFile.of(draft.weights_path, "float32")
        changed: dict[str, object] = {
            "weights": file,
            "golden": golden.record(network, like.temperature),
            "unknown": None,  # it has no features of training photos
        }
        if like.quantization is not None:
            quantization.write(network, _calibrating(Path(aside)), draft.path / INT8_GRAPH)
            graph = Int8Graph.of(draft.path / INT8_GRAPH)
            answers = golden.record(replace(network, int8=graph), like.temperature, "int8")
            made = {"weights": file.sha256, "graph": graph.sha256, "golden": answers, "calibration_photos": CALIBRATING}
            changed["quantization"] = like.quantization.model_copy(update=made)
        return draft.publish(lambda number: like.model_copy(update={"version": number, **changed}))


def _calibrating(folder: Path) -> list[Photo]:
    """Files of calibration photos; the speed doesn't depend on their content."""
    found = []
    for number, photo in enumerate(photos.photos()[:CALIBRATING]):
        path = folder / f"{number}.jpg"
        path.write_bytes(photo)
        found.append(Photo(path, 0, sha256(photo).hexdigest(), path.name))
    return found


def _arrays(architecture: Architecture) -> dict[str, NDArray[np.float32]]:
    arrays = backbones.random(architecture.width, SEED)
    chance = np.random.default_rng(SEED)
    for layer in architecture.head_layers:
        arrays[f"{layer.name}/kernel"] = chance.normal(0, 1, layer.kernel_shape).astype(np.float32)
        arrays[f"{layer.name}/bias"] = np.zeros(layer.bias_shape, np.float32)
    return arrays


def _manifest(number: int, width: float, file: WeightsFile) -> Manifest:
    return Manifest(
        version=number,
        created=datetime.now(UTC),
        classes=CLASSES,
        width=width,
        head="pooled",
        preprocessing=FINGERPRINT,
        weights=file,
        temperature=TEMPERATURE,
        metrics={},
        lineage=Lineage(
            command="python -m benchmarks",
            recipe=None,
            strategy="full",
            backbone="random",
            parent=None,
            dataset=Dataset(fingerprint="0" * 64, photos={}),
            seed=SEED,
            seconds=0.0,
            hardware="",
            libraries={},
            notes="random arrays, for speed measurements only",
        ),
    )
