"""A model version on disk, and the checks before it is used."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

from catdog.engines.engine import Asked
from catdog.errors import BrokenVersion, WeightsError
from catdog.images import FINGERPRINT
from catdog.network import head, weights
from catdog.network.architecture import Int8Graph, Network
from catdog.versions import ood
from catdog.versions.manifest import Manifest, WeightsFile
from catdog.versions.measurements import Neighbours
from catdog.versions.ood import Detector

logger = logging.getLogger(__name__)

WEIGHTS = "model.weights.h5"
MANIFEST = "manifest.json"
INT8_GRAPH = "int8.xml"
TRAINED_ON = "trained-on.h5"  # `training.data.trained_on` writes it

Fetch = Callable[[int, str | None], Path]

# Results for files that haven't changed since this process read them: reading 59 MB for each check would be slow.
_known: dict[tuple[int, ...], WeightsFile | Neighbours] = {}


def _state(path: Path) -> tuple[int, ...]:
    """Values that change with the file, such as its ctime, which can't be set back."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def photo_number(sha256: str) -> int:
    """The first 8 bytes of a photo's sha256, by which TRAINED_ON names it."""
    return int(sha256[:16], 16)


@dataclass(frozen=True)
class Version:
    """A directory that never changes once it is published.

    If `folder` has only the manifest until other files are needed, `fetch` gets all of the version with this number, or
    the one with a name if it has it, and returns the folder.
    """

    number: int
    folder: Path
    manifest: Manifest
    fetch: Fetch | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.manifest.version != self.number:
            raise BrokenVersion(self.number, f"{MANIFEST} is that of version {self.manifest.version}")

    @classmethod
    def read(cls, number: int, folder: Path, fetch: Fetch | None = None) -> Self:
        """The version in a directory, from its manifest only; BrokenVersion if that can't be used."""
        try:
            manifest = Manifest.from_json((folder / MANIFEST).read_bytes())
        except OSError as error:
            raise BrokenVersion(number, f"{MANIFEST} is missing or can't be read") from error
        except ValueError as error:
            raise BrokenVersion(number, f"{MANIFEST}: {error}") from error
        return cls(number, folder, manifest, fetch)

    @property
    def path(self) -> Path:
        """The directory with all its files; StoreUnavailable if they must be downloaded and can't be."""
        return self.folder if self.fetch is None else self.fetch(self.number, None)

    def file(self, name: str) -> Path:
        """One of its files, which may be missing; StoreUnavailable."""
        return (self.folder if self.fetch is None else self.fetch(self.number, name)) / name

    @property
    def weights_path(self) -> Path:
        """The file for Keras's `load_weights`: the .h5, or the .json index of several .h5 files."""
        return self.path / (weights.INDEX if self.manifest.weights.is_sharded else WEIGHTS)

    def verify(self) -> None:
        """Raise BrokenVersion unless its files match the manifest and its preprocessing is this code's."""
        if self.manifest.preprocessing != FINGERPRINT:
            raise BrokenVersion(self.number, "it was trained with different preprocessing; train it again")
        self._verify_weights()
        self._verify_neighbours()

    def _verify_weights(self) -> None:
        files = weights.files(self.weights_path)
        names = " or ".join(file.name for file in files)
        try:
            state = tuple(number for file in files for number in _state(file))
            if _known.get(state) == self.manifest.weights:
                return
            found = WeightsFile.of(self.weights_path, self.manifest.weights.dtype)
        except OSError as error:
            raise BrokenVersion(self.number, f"{names} is missing or can't be read") from error
        if found != self.manifest.weights:
            raise BrokenVersion(self.number, f"{names} is not the file that {MANIFEST} describes")
        _known[state] = found

    def _verify_neighbours(self) -> None:
        known = self.manifest.unknown
        if known is None or known.neighbours is None:
            return
        file = self.path / ood.FILE
        try:
            state = _state(file)
            if _known.get(state) == known.neighbours:
                return
            is_whole = ood.is_file_of(known.neighbours, file)
        except OSError as error:
            raise BrokenVersion(self.number, f"{ood.FILE} is missing or can't be read") from error
        if not is_whole:
            raise BrokenVersion(self.number, f"{ood.FILE} is not the file that {MANIFEST} describes")
        _known[state] = known.neighbours

    def detector(self) -> Detector | None:
        """Its out-of-distribution detector, None if it has none; BrokenVersion."""
        self._verify_neighbours()
        try:
            return ood.read(self.manifest, self.path)
        except (OSError, ValueError) as error:
            raise BrokenVersion(self.number, f"{ood.FILE}: {error}") from error

    def was_trained_on(self, sha256: str) -> bool:
        """Whether its network or its head was trained on this photo, as far as a record that can be read says."""
        try:
            with h5py.File(self.file(TRAINED_ON), "r") as file:
                return bool(np.any(file["contents"][()] == np.uint64(photo_number(sha256))))
        except (OSError, KeyError):  # it has no record, or was deleted since
            return False

    def load(self, names: Collection[str] | None = None) -> dict[str, NDArray[np.float32]]:
        """The network's arrays with these names in `Architecture.shapes`, None for all; else BrokenVersion.

        Call `verify` first.
        """
        self.verify()
        try:
            return weights.read(self.weights_path, self.manifest.architecture, names)
        except WeightsError as error:
            raise BrokenVersion(self.number, str(error)) from error

    def network(self, precision: Asked = "auto", whole: bool = True) -> Network:
        """The network for this precision; BrokenVersion if its files can't be used.

        If an int8 graph that may serve is damaged or missing, the weights are used without it, unless int8 was
        requested. If there is one and the network needn't be `whole`, only the pooled head's arrays are read.
        """
        graph, architecture = self._graph_for(precision), self.manifest.architecture
        if whole or graph is None:
            return Network(architecture, self.load(), graph)
        return Network(architecture, self.load(head.ARRAYS), graph)

    def _graph_for(self, precision: Asked) -> Int8Graph | None:
        quantization = self.manifest.quantization
        if precision == "int8":
            return self._int8_graph()
        if precision != "auto" or quantization is None or not quantization.serves:
            return None
        try:
            return self._int8_graph()
        except BrokenVersion as error:
            logger.warning("%s; the network is run without it", error)
            return None

    def _int8_graph(self) -> Int8Graph:
        if self.manifest.quantization is None:
            raise BrokenVersion(self.number, "it has no int8 graph; make one with `python -m training quantize`")
        try:
            graph = Int8Graph.of(self.path / INT8_GRAPH)
        except OSError as error:
            raise BrokenVersion(self.number, f"{INT8_GRAPH} or its .bin is missing or can't be read") from error
        if graph.sha256 != self.manifest.quantization.graph:
            raise BrokenVersion(self.number, f"{INT8_GRAPH} and its .bin are not the files that {MANIFEST} describes")
        return graph
