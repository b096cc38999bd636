"""Measures a running service under load, with its processor and GPU use."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import httpx
import numpy as np

from benchmarks.gpu.pages import Sample
from benchmarks.harness import tree
from benchmarks.harness.processes import Process
from benchmarks.load.crowd import Crowd
from catdog.engines.keras import BATCH_SIZES, KerasEngine, device
from catdog.network.architecture import INPUT_PIXELS
from catdog.versions.store import Store

WARMING = 3  # calls

PROBLEM = b'"problem"'  # marks a failed photo in a batch


class State(NamedTuple):
    """Counters since the start."""

    cpu_seconds: float
    loop_seconds: float  # of the main thread, on which the event loop runs
    inferences: float
    photos: float  # in these


@dataclass(frozen=True)
class Service:
    """The service under the load of a crowd."""

    process: Process
    crowd: Crowd

    def measure(self, kind: str, clients: int, files: int, seconds: float, seed: int) -> Sample:
        """Measure requests of this kind with `files` files each."""
        before = self._state()
        load = self.crowd.ask(self.process.port, kind, clients, seconds, seed)
        cpu, loop, inferences, inferred = (now - then for now, then in zip(self._state(), before, strict=True))
        wrong = sum(PROBLEM in answer for answer in load.answers.values())
        return Sample(
            load.requests_a_second * files,
            load.percentile_seconds(50),
            load.percentile_seconds(99),
            load.failures + wrong,
            cpu / (load.answered * files) if load.answered else None,
            loop / load.seconds,
            inferred / inferences if inferences else None,
        )

    def _state(self) -> State:
        page = httpx.get(f"http://127.0.0.1:{self.process.port}/metrics", trust_env=False).text
        inferences, inferred = (_number(page, f"catdog_batch_photos_{name}") for name in ("count", "sum"))
        return State(self.process.cpu_seconds() or 0.0, _main_thread(self.process.popen.pid), inferences, inferred)


def _number(page: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _main_thread(pid: int) -> float:
    """Processor seconds of the main thread; needs /proc."""
    stat = Path(f"/proc/{pid}/task/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return (int(stat[tree.USER_TICKS]) + int(stat[tree.SYSTEM_TICKS])) / tree.TICKS_A_SECOND


def photos_a_second(version: Path, batch: int, seconds: float) -> float:
    """Photos per second of consecutive calls with `batch` photos each, in bfloat16; at least one call."""
    engine = _engine(version)
    pixels = np.random.default_rng(0).integers(0, 256, (batch, INPUT_PIXELS, INPUT_PIXELS, 3), np.uint8)
    for _ in range(WARMING):
        engine.infer(pixels)
    begun, took, calls = perf_counter(), 0.0, 0
    while not calls or took < seconds:
        engine.infer(pixels)
        calls, took = calls + 1, perf_counter() - begun
    return calls * batch / took


def computes_with() -> str:
    """The backend and its device."""
    return device()


@cache
def _engine(version: Path) -> KerasEngine:
    """An engine in bf16 with the largest batches, also without a GPU."""
    network = Store(version.parent).open(int(version.name)).network("f32")
    return KerasEngine(network, "bf16", BATCH_SIZES[-1])
