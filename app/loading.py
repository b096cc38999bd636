"""From the model store into memory: one version, warm and checked."""

import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.predictor import Champion
from app.settings import Settings
from catdog import calibration, golden, weights
from catdog.engines import Engine, Output
from catdog.engines.openvino import OpenVINOEngine, computes_in
from catdog.errors import BrokenVersion
from catdog.network import Network
from catdog.version import Version

logger = logging.getLogger(__name__)

CACHE = "compiled"  # in the data folder: what OpenVINO made of graphs, a folder for each
KEPT = 4  # of these, the last that were used; two are 120 MB at full width in float32


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


def load(version: Version, found: Read, settings: Settings, beside: Champion | None = None) -> Champion:
    """A version that has answered golden pictures as it did when it was published; else StoreError.

    Where its graph is that of `beside`, which was loaded with the same settings, both run on one.
    """
    engine = _on_the_graph_of(beside, found)
    if engine is not None or settings.engine == "keras":
        return _warm(version, found.graph, engine or _on_a_gpu(found.network, settings))
    cache = settings.data_dir / CACHE / found.graph
    compiled = _on_the_processor(found.network, settings, cache)
    try:
        return _warm(version, found.graph, compiled)
    except BrokenVersion:
        if not compiled.was_cached:
            raise
        logger.warning("version %d is compiled anew: what was kept of it doesn't answer as it should", version.number)
        shutil.rmtree(cache, ignore_errors=True)
        return _warm(version, found.graph, _on_the_processor(found.network, settings, cache))


def _warm(version: Version, graph: str, engine: Engine) -> Champion:
    champion = Champion(version.manifest, engine, graph)
    places, outputs = _golden_outputs(engine)
    champion.answer(outputs[0])  # all the way to what a client gets
    _check_golden(champion, places, np.concatenate([output.logits for output in outputs]))
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


def _on_the_graph_of(beside: Champion | None, found: Read) -> Engine | None:
    """An engine with this head on that one's graph, where that can be."""
    if beside is None or beside.graph != found.graph or found.network.architecture.head != "pooled":
        return None
    return beside.engine.with_head(found.network.arrays)


def _golden_outputs(engine: Engine) -> tuple[list[int], list[Output]]:
    """What it makes of golden pictures, one alone and one in each of its streams, and the places of these pictures.

    So both ways to infer are known to answer rightly, and no stream answers for the first time, which takes several
    times as long, while somebody waits. A request waits no longer for one of them than for another's photo.
    """
    backwards = reversed(range(len(golden.GRIDS)))  # from the finest: the shipped model says both classes then
    places = list(islice(cycle(backwards), 1 + engine.streams))
    first, *others = (golden.pictures()[place : place + 1] for place in places)
    # This first: where two threads are the first to hand arrays to OpenVINO 2026.4, one may wait for the other's lock
    # with the interpreter's in its hands, and nothing ever goes on.
    outputs = [engine.infer(first)]
    with ThreadPoolExecutor(engine.streams) as threads:
        outputs += threads.map(lambda picture: engine.infer(picture, shared=True), others)
    return places, outputs


def _check_golden(champion: Champion, places: Sequence[int], logits: NDArray[np.float32]) -> None:
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
