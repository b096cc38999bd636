"""Loads a version from the model store, warms it up and checks it."""

import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.serving.drift import Drift
from app.serving.loaded_model import LoadedModel
from app.serving.os_tuning import lower_priority
from app.settings import Settings
from catdog.engines.engine import Engine
from catdog.engines.openvino import OpenVINOEngine, computes_in
from catdog.errors import BrokenVersion
from catdog.network import weights
from catdog.network.architecture import Network
from catdog.versions import calibration, golden
from catdog.versions.store import Store
from catdog.versions.version import Version

logger = logging.getLogger(__name__)

CACHE = "compiled"  # in the data folder: graphs compiled by OpenVINO, one folder each
KEPT = 4  # compiled graphs, the last used; two are 120 MB at full width in float32
# Index of the golden picture that is tried first. In descending order the shipped model predicts both classes.
FINEST = len(golden.GRIDS) - 1


NICE = 19  # Unix nice value of the thread that reads a version: predictions have priority


class VersionLoader:
    """Loads versions from the store while loaded ones keep answering. For one thread at a time."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._reader = ThreadPoolExecutor(1, "reader", lower_priority, (NICE,))
        self._begun: Future[LoadedModel] | None = None
        self.seconds = 0.0  # that the last load took

    def begin(self) -> "Future[LoadedModel]":
        """Start loading the store's champion on a thread; `load` of that version returns it later."""
        loader = ThreadPoolExecutor(1, "loader")
        self._begun = loader.submit(lambda: self._load(self._store.champion(), soon=True))
        loader.shutdown(wait=False)
        return self._begun

    @property
    def has_begun_and_ended(self) -> bool:
        """Whether the load that `begin` started has ended and its result hasn't been used yet."""
        return self._begun is not None and self._begun.done()

    def load(self, version: int, serving: LoadedModel | None) -> LoadedModel:
        """Load the version, on the graph of `serving` if it is the same; StoreError."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            if (first := begun.result()).manifest.version == version:
                return first
        return self._load(version, serving)

    def _load(self, version: int, serving: LoadedModel | None = None, soon: bool = False) -> LoadedModel:
        began, opened = monotonic(), self._store.open(version)
        # Compiled on this thread, whose priority is normal: threads that OpenVINO starts inherit it permanently.
        found = self._reader.submit(read, opened, self._settings).result()
        loaded = load(opened, found, self._settings, serving, soon)
        self.seconds = monotonic() - began
        return loaded


class Read(NamedTuple):
    """A version's network, read from the disk, and the fingerprint of its graph."""

    network: Network
    graph: str


def read(version: Version, settings: Settings) -> Read:
    """Read a version from the disk: the longer part of loading, without an engine; StoreError."""
    if settings.engine == "keras":
        network = version.network("f32")
    else:  # weights that are in the int8 graph aren't read twice
        network = version.network(settings.precision, whole=not computes_in("INT8"))
    if network.int8:
        return Read(network, network.int8.sha256)
    return Read(network, weights.backbone_fingerprint(network.architecture, network.arrays))


def load(
    version: Version, found: Read, settings: Settings, current: LoadedModel | None = None, soon: bool = False
) -> LoadedModel:
    """Load a version and check its answers to golden pictures against those at its publication; StoreError.

    If its graph is that of `current`, which was loaded with the same settings, both share it. With `soon` it infers one
    photo at a time until `share` has checked its streams.
    """
    engine = _on_the_graph_of(current, found)
    if engine is not None or settings.engine == "keras":
        return _warm(version, found.graph, engine or _on_a_gpu(found.network, settings))
    cache = settings.data_dir / CACHE / found.graph
    compiled = _on_the_processor(found.network, settings, cache)
    try:
        return _warm(version, found.graph, compiled, soon)
    except BrokenVersion:
        if not compiled.was_cached:
            raise
        logger.warning("version %d is compiled again, because its cached graph gives wrong answers", version.number)
        shutil.rmtree(cache, ignore_errors=True)
        return _warm(version, found.graph, _on_the_processor(found.network, settings, cache), soon)


def share(champion: LoadedModel, settings: Settings) -> LoadedModel:
    """The same model with its engine's streams; if their answers are wrong, without them, and that is logged."""
    whole = replace(champion, engine=champion.unconfirmed or champion.engine, unconfirmed=None)
    try:
        _try_streams(whole)
    except Exception as error:  # any error: the model keeps answering without streams
        message = "%s keeps answering one photo at a time, and is compiled again at the next start: %s"
        logger.error(message, champion, getattr(error, "problem", error))
        shutil.rmtree(settings.data_dir / CACHE / champion.graph, ignore_errors=True)
        return replace(champion, unconfirmed=None)
    return whole


def _warm(version: Version, graph: str, engine: Engine, soon: bool = False) -> LoadedModel:
    """A loaded model, after each way to infer has answered correctly; no stream is used before."""
    drift, detector = Drift(version.manifest.histograms), version.detector()
    if soon and isinstance(engine, OpenVINOEngine):
        champion = LoadedModel(version.manifest, engine.alone(), graph, drift, detector, unconfirmed=engine)
    else:
        champion = LoadedModel(version.manifest, engine, graph, drift, detector)
    # First, because of a deadlock: if two threads are the first to pass arrays to OpenVINO 2026.4, one may wait for the
    # other's lock while it holds the GIL.
    _try_alone(champion)
    if champion.unconfirmed is None:
        _try_streams(champion)
    return champion


def _on_a_gpu(network: Network, settings: Settings) -> Engine:
    from catdog.engines.keras import KerasEngine  # it imports a whole framework

    engine = KerasEngine(network, settings.precision)
    engine.warm()
    return engine


def _on_the_processor(network: Network, settings: Settings, cache: Path) -> OpenVINOEngine:
    """The engine, compiled or loaded from `cache`, which becomes the newest cache folder; the oldest are removed."""
    engine = OpenVINOEngine(network, settings.precision, settings.threads, settings.streams, cache)
    with suppress(OSError):  # the engine has logged that the folder can't be used
        cache.touch()
        for old in sorted(cache.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return engine


def _on_the_graph_of(current: LoadedModel | None, found: Read) -> Engine | None:
    """An engine with this head on the graph of `current`; None if they can't share it."""
    if current is None or current.graph != found.graph or found.network.architecture.head != "pooled":
        return None
    return (current.unconfirmed or current.engine).with_head(found.network.arrays)


def _try_alone(champion: LoadedModel) -> None:
    """Answer a golden picture, including the client's answer, and check it; BrokenVersion."""
    output = champion.engine.infer(golden.pictures()[FINEST:])
    champion.answer(output)
    _check_golden(champion, [FINEST], output.logits)


def _try_streams(champion: LoadedModel) -> None:
    """Let each stream answer a golden picture, and check the answers; BrokenVersion.

    This checks the second way to infer, and warms up the streams: the first answer of each takes several times as long.
    A request that arrives during it waits no longer than for another client's photo.
    """
    streams = champion.engine.streams
    if streams == 1:  # it has answered
        return
    places = list(islice(cycle(range(FINEST, -1, -1)), streams))
    with ThreadPoolExecutor(streams) as threads:
        pictures = (golden.pictures()[place : place + 1] for place in places)
        outputs = list(threads.map(lambda picture: champion.engine.infer(picture, shared=True), pictures))
    _check_golden(champion, places, np.concatenate([output.logits for output in outputs]))


def _check_golden(champion: LoadedModel, places: Sequence[int], logits: NDArray[np.float32]) -> None:
    """Raise BrokenVersion unless these are the golden answers for these pictures, if the version has any."""
    manifest, precision = champion.manifest, champion.engine.precision
    expected = manifest.golden
    if precision == "int8" and manifest.quantization is not None:
        expected = manifest.quantization.golden
    if expected is None:
        return
    try:
        golden.check(calibration.probabilities(logits, manifest.temperature), expected, precision, places)
    except ValueError as error:
        raise BrokenVersion(manifest.version, str(error)) from error
