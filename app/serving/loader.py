"""Loads a version from the model store, warms it up and checks it."""

import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
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

CACHE = "compiled"  # in the data folder: what OpenVINO made of graphs, a folder for each
KEPT = 4  # of these, the last that were used; two are 120 MB at full width in float32
FINEST = (
    len(golden.GRIDS) - 1
)  # place of the first that is asked: from it backwards the shipped model says both classes


NICE = 19  # Unix nice value of the thread that reads a version: predictions go before it


class VersionLoader:
    """Loads versions of the store while loaded ones go on answering. Called by one thread at a time."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._reader = ThreadPoolExecutor(1, "reader", lower_priority, (NICE,))
        self._begun: Future[LoadedModel] | None = None

    def begin(self) -> "Future[LoadedModel]":
        """Load the store's champion on a thread, now; `load` of that version returns it later."""
        loader = ThreadPoolExecutor(1, "loader")
        self._begun = loader.submit(lambda: self._load(self._store.champion(), soon=True))
        loader.shutdown(wait=False)
        return self._begun

    @property
    def has_begun_and_ended(self) -> bool:
        """Whether the load that was begun has ended and hasn't been asked for yet."""
        return self._begun is not None and self._begun.done()

    def load(self, version: int, serving: LoadedModel | None) -> LoadedModel:
        """The version, on the graph of the one that is `serving` if that can be; StoreError."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            if (first := begun.result()).manifest.version == version:
                return first
        return self._load(version, serving)

    def _load(self, version: int, serving: LoadedModel | None = None, soon: bool = False) -> LoadedModel:
        opened = self._store.open(version)
        # Compiled on this thread, whose priority is normal: threads that OpenVINO starts inherit it for good.
        found = self._reader.submit(read, opened, self._settings).result()
        return load(opened, found, self._settings, serving, soon)


class Read(NamedTuple):
    """A version's network, read from the disk, and what tells its graph apart from others."""

    network: Network
    graph: str


def read(version: Version, settings: Settings) -> Read:
    """The longer part of the work, which needs no engine; StoreError."""
    if settings.engine == "keras":
        network = version.network("f32")
    else:  # what is in an int8 graph isn't read a second time
        network = version.network(settings.precision, whole=not computes_in("INT8"))
    if network.int8:
        return Read(network, network.int8.sha256)
    return Read(network, weights.backbone_fingerprint(network.architecture, network.arrays))


def load(
    version: Version, found: Read, settings: Settings, beside: LoadedModel | None = None, soon: bool = False
) -> LoadedModel:
    """A version that has answered golden pictures as it did when it was published; else StoreError.

    Where its graph is that of `beside`, which was loaded with the same settings, both run on one. With `soon` it infers
    one photo at a time, until `share` has tried its streams.
    """
    engine = _on_the_graph_of(beside, found)
    if engine is not None or settings.engine == "keras":
        return _warm(version, found.graph, engine or _on_a_gpu(found.network, settings))
    cache = settings.data_dir / CACHE / found.graph
    compiled = _on_the_processor(found.network, settings, cache)
    try:
        return _warm(version, found.graph, compiled, soon)
    except BrokenVersion:
        if not compiled.was_cached:
            raise
        logger.warning("version %d is compiled anew: what was kept of it doesn't answer as it should", version.number)
        shutil.rmtree(cache, ignore_errors=True)
        return _warm(version, found.graph, _on_the_processor(found.network, settings, cache), soon)


def share(champion: LoadedModel, settings: Settings) -> LoadedModel:
    """The same, with the streams of its engine; without them where they don't answer rightly, which the log says."""
    whole = replace(champion, engine=champion.untried or champion.engine, untried=None)
    try:
        _try_streams(whole)
    except Exception as error:  # whatever it is, what answers goes on
        told = "%s goes on with one photo at a time, and is compiled anew at the next start: %s"
        logger.error(told, champion, getattr(error, "problem", error))
        shutil.rmtree(settings.data_dir / CACHE / champion.graph, ignore_errors=True)
        return replace(champion, untried=None)
    return whole


def _warm(version: Version, graph: str, engine: Engine, soon: bool = False) -> LoadedModel:
    """The champion, once each way to infer has answered rightly; no stream is in use before it has."""
    drift, detector = Drift(version.manifest.histograms), version.detector()
    if soon and isinstance(engine, OpenVINOEngine):
        champion = LoadedModel(version.manifest, engine.alone(), graph, drift, detector, untried=engine)
    else:
        champion = LoadedModel(version.manifest, engine, graph, drift, detector)
    # This first: where two threads are the first to hand arrays to OpenVINO 2026.4, one may wait for the other's lock
    # with the interpreter's in its hands, and nothing ever goes on.
    _try_alone(champion)
    if champion.untried is None:
        _try_streams(champion)
    return champion


def _on_a_gpu(network: Network, settings: Settings) -> Engine:
    from catdog.engines.keras import KerasEngine  # it brings a whole framework

    engine = KerasEngine(network, settings.precision)
    engine.warm()
    return engine


def _on_the_processor(network: Network, settings: Settings, cache: Path) -> OpenVINOEngine:
    """The engine, compiled or taken from `cache`, which is then the newest of its kind; the oldest are removed."""
    engine = OpenVINOEngine(network, settings.precision, settings.threads, settings.streams, cache)
    with suppress(OSError):  # the engine has told of a folder that can't be used
        cache.touch()
        for old in sorted(cache.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return engine


def _on_the_graph_of(beside: LoadedModel | None, found: Read) -> Engine | None:
    """An engine with this head on that one's graph, where that can be."""
    if beside is None or beside.graph != found.graph or found.network.architecture.head != "pooled":
        return None
    return (beside.untried or beside.engine).with_head(found.network.arrays)


def _try_alone(champion: LoadedModel) -> None:
    """Have a golden picture answered, all the way to what a client gets; BrokenVersion."""
    output = champion.engine.infer(golden.pictures()[FINEST:])
    champion.answer(output)
    _check_golden(champion, [FINEST], output.logits)


def _try_streams(champion: LoadedModel) -> None:
    """Have each stream answer a golden picture; BrokenVersion.

    So the second way to infer is known to answer rightly, too, and no stream answers for the first time, which takes
    several times as long, while somebody waits. A request waits no longer for one of them than for another's photo.
    """
    streams = champion.engine.streams
    if streams == 1:  # which has answered
        return
    places = list(islice(cycle(range(FINEST, -1, -1)), streams))
    with ThreadPoolExecutor(streams) as threads:
        pictures = (golden.pictures()[place : place + 1] for place in places)
        outputs = list(threads.map(lambda picture: champion.engine.infer(picture, shared=True), pictures))
    _check_golden(champion, places, np.concatenate([output.logits for output in outputs]))


def _check_golden(champion: LoadedModel, places: Sequence[int], logits: NDArray[np.float32]) -> None:
    """Raise BrokenVersion unless these are the golden answers at these places, where the version has them."""
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
