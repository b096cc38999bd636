"""Measures the speed of one engine without a service: the table of decision 10.

One photo at a time on all threads, and several at a time (OpenVINO's choice) that share the threads; if the processor
has AMX, also without AMX and AVX-512.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter, process_time

from benchmarks.harness import versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.processes import ROOT
from benchmarks.serving.limits import WITHOUT_AMX
from catdog.engines.engine import Precision
from catdog.engines.openvino import OpenVINOEngine
from catdog.versions import golden
from catdog.versions.store import Store
from catdog.versions.version import Version

PRECISIONS: tuple[Precision, ...] = ("f32", "bf16", "int8")
ROUNDS = 5
SECONDS = 1.0
PHOTO = golden.pictures()[:1]

Speed = tuple[float, float]  # photos per second, and milliseconds of processor time per photo


def measure(engine: OpenVINOEngine, shared: bool) -> Speed:
    """Measure with as many threads as the engine accepts parallel calls."""
    counts = [0] * (engine.streams if shared else 1)
    until = perf_counter() + SECONDS

    def call(place: int) -> None:
        while perf_counter() < until:
            engine.infer(PHOTO, shared)
            counts[place] += 1

    threads = [Thread(target=call, args=(place,)) for place in range(len(counts))]
    began, worked = perf_counter(), process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    photos = sum(counts)
    return photos / (perf_counter() - began), 1000 * (process_time() - worked) / photos


def speeds(version: Version, precisions: Sequence[Precision]) -> Iterator[tuple[str, Speed, Speed]]:
    """By precision, alone and shared: medians of interleaved rounds."""
    engines = {each: OpenVINOEngine(version.network(each), each, streams=None) for each in precisions}
    rounds = [
        {(name, shared): measure(engine, shared) for name, engine in engines.items() for shared in (False, True)}
        for _ in range(ROUNDS)
    ]
    for name in engines:
        alone, shared = (_median([one[name, way] for one in rounds]) for way in (False, True))
        yield name, alone, shared


def _median(found: Sequence[Speed]) -> Speed:
    photos, milliseconds = zip(*found, strict=True)
    return median(photos), median(milliseconds)


def main() -> None:
    """Measure in separate processes, because OpenVINO detects the processor's features once."""
    if len(sys.argv) == 3:
        path, precisions = Path(sys.argv[1]), json.loads(sys.argv[2])
        print(json.dumps(list(speeds(Store(path.parent).open(int(path.name)), precisions))))
        return
    machine = Machine.this()
    print(f"{machine.where}, {machine.libraries}; medians of {ROUNDS} rounds of {SECONDS:g} s\n")
    print("| model | processor | precision | alone: photos/s | ms of a core | shared: photos/s | ms of a core |")
    print("|---|---|---|---:|---:|---:|---:|")
    with TemporaryDirectory() as folder:
        shipped = versions.shipped(ROOT / "models", Path(folder) / "shipped")
        for model in (versions.slim(Path(folder) / "slim"), shipped):
            for without in (False, True) if machine.has_amx else (False,):
                _print(model.version, without)


def _print(version: Version, without_amx: bool) -> None:
    variables = os.environ | (WITHOUT_AMX if without_amx else {})
    precisions = [each for each in PRECISIONS if not without_amx or each != "bf16"]  # bf16 needs AVX-512
    command = [sys.executable, "-m", "benchmarks.serving.engine", str(version.path), json.dumps(precisions)]
    done = subprocess.run(command, env=variables, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    for name, alone, shared in json.loads(done.stdout):
        cells = [f"{value:.3g}" for value in (*alone, *shared)]
        how = "without AMX, AVX-512" if without_amx else "as it is"
        print(f"| width {version.manifest.width:g} | {how} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
