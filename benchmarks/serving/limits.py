"""Measures upper limits of serving: the network alone, decoding alone, the service without either."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Self

import openvino as ov

from benchmarks.harness import photos
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import LOG, BenchmarkError, python, run, running
from benchmarks.load import closed_loop
from benchmarks.load.closed_loop import shuffled
from benchmarks.serving.rounds import SETTLE_TIMES, start
from benchmarks.serving.systems import System
from catdog import images
from catdog.engines.engine import Precision
from catdog.engines.openvino import build, precision_of
from catdog.network.architecture import INPUT_PIXELS
from catdog.system import resources
from catdog.versions.version import Version

HINTS = ("latency", "throughput")
SHAPE = f"[1,{INPUT_PIXELS},{INPUT_PIXELS},3]"
# For oneDNN, which OpenVINO uses: int8 at full width is then as fast as on two cores of AMD's Zen 4.
WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX2_VNNI"}


@dataclass(frozen=True)
class Graph:
    """The service's graph as a file, and its precision."""

    path: Path
    precision: Precision

    @classmethod
    def of(cls, version: Version, folder: Path, precision: Precision | None = None) -> Self:
        """The graph of a version; `precision` None is the service's own choice."""
        network = version.network(precision or "auto")
        precision = precision_of(network, precision or "auto")
        if precision == "int8" and network.int8 is not None:
            return cls(network.int8.path, precision)
        path = folder / f"{version.path.parent.name}.xml"
        ov.save_model(build(network.architecture, network.arrays), path, compress_to_fp16=False)
        return cls(path, precision)


@dataclass(frozen=True)
class Limit:
    """Photos per second, of one round."""

    benchmark_app: Mapping[str, float]  # by hint
    decoding: float  # over all cores

    @property
    def inference(self) -> float:
        return max(self.benchmark_app.values())

    @property
    def both(self) -> float:
        """The limit of decoding and inference together, one after the other on the same cores."""
        return 1 / (1 / self.decoding + 1 / self.inference)


@dataclass(frozen=True)
class Overhead:
    """The cost of a request without decoding and inference: the service on one core, its client on another."""

    answered: int
    failures: int
    wall_seconds: float  # median
    cpu_seconds: float  # mean


@dataclass(frozen=True)
class Alone:
    """Measures with the service's environment; `settings` are environment variables."""

    interpreter: Path
    seconds: float
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def limit(self, graph: Graph) -> Limit:
        return Limit({hint: self._benchmark_app(graph, hint) for hint in HINTS}, self._decoding())

    def _benchmark_app(self, graph: Graph, hint: str) -> float:
        infer = "f32" if graph.precision == "int8" else graph.precision  # like the engine
        options = (
            "-d",
            "CPU",
            "-hint",
            hint,
            "-infer_precision",
            infer,
            "-shape",
            SHAPE,
            "-t",
            str(ceil(self.seconds)),
        )
        app = self.interpreter.parent / "benchmark_app"
        run([str(app), "-m", str(graph.path), *options], self.settings, self.folder)
        return self._said(r"Throughput: +([\d.]+) FPS")

    def _decoding(self) -> float:
        seconds = str(self.seconds)
        run(
            python("benchmarks.serving.limits", seconds, interpreter=self.interpreter),
            self.settings,
            self.folder,
        )
        return self._said(r"^([\d.]+)$")

    def _said(self, pattern: str) -> float:
        log = (self.folder / LOG).read_text("utf-8", "replace")
        found = re.search(pattern, log, re.MULTILINE)
        if found is None:
            raise BenchmarkError(f"no number was found in:\n{log}")
        return float(found[1])


def overhead(version: Version, interpreter: Path, uploads: Sequence[Upload], seconds: float, folder: Path) -> Overhead:
    """Measure with one client; needs two cores and /proc."""
    core, other, *_ = sorted(os.sched_getaffinity(0))
    command = python("benchmarks.serving.stub_service", str(core), interpreter=interpreter)
    models = {"CATDOG_MODELS_DIR": str(version.path.parent), "CATDOG_DATA_DIR": str(folder / "data-stub")}
    with running(command, models, folder) as process, _on(other):
        start(System("stub", command, health="/health/ready"), process, uploads[0])
        requests, order = [upload.request for upload in uploads], shuffled(len(uploads), 0)
        closed_loop.ask(process.port, requests, order, 1, SETTLE_TIMES * seconds)
        before = process.cpu_seconds() or 0.0
        load = closed_loop.ask(process.port, requests, order, 1, seconds)
        cpu = ((process.cpu_seconds() or 0.0) - before) / max(1, load.answered)
    return Overhead(load.answered, load.failures, load.percentile_seconds(50) or 0.0, cpu)


@contextmanager
def _on(core: int) -> Iterator[None]:
    """Pin this thread to one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def can_pin() -> bool:
    """Whether a service and its client can have separate cores."""
    return hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1


def _decode_alone(sent: list[bytes], first: int, seconds: float) -> float:
    """Photos per second of decoding on one thread, beginning with photo number `first`."""
    turn, begun, count, took = cycle(sent[first:] + sent[:first]), perf_counter(), 0, 0.0
    while took < seconds:
        images.decode(next(turn))
        count, took = count + 1, perf_counter() - begun
    return count / took


def _print_decoding_speed() -> None:
    sent, threads = photos.photos(), resources.usable_cores()
    with ThreadPoolExecutor(threads) as pool:
        firsts = [place * len(sent) // threads for place in range(threads)]
        each = pool.map(_decode_alone, [sent] * threads, firsts, [float(sys.argv[1])] * threads)
        print(sum(each))


if __name__ == "__main__":
    _print_decoding_speed()
