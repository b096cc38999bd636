"""Speed and memory of `catdog classify` against decoding and inference alone.

    python -m benchmarks.experiments.classify [--photos N] [--few N] [--model slim] [--model full] [--ray]

The limit is 1 / (decoding + inference): the seconds that a photo takes if all cores only decode, and if the engine, in
its best mode, only infers. The command is timed as a whole, from the start of its process to its end. On a machine that
does other work, compare the processor time instead. The command's largest resident memory is compared with that for
fewer photos.

With `--ray` the same command runs on a Ray cluster of three nodes that share the cores of this machine, in turn with
the command alone, and the rates of both are compared.
"""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import NamedTuple

from pyarrow import parquet

from app.serving import os_tuning
from benchmarks.harness import photos, ray_cluster, versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.processes import ROOT
from benchmarks.harness.ray_cluster import Cluster
from benchmarks.harness.versions import Model
from catdog import images
from catdog.engines.openvino import OpenVINOEngine
from catdog.system import resources
from catdog.versions import golden

ROUNDS = 3  # interleaved; the results are medians
SECONDS = 3.0  # of each measurement of one part
HEAD = (
    "| model | limit, photos/s | command | of the limit | ms of a core: decoding + inference | command | share"
    " | memory | against few |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)
HEAD_ON_NODES = "| model | command, photos/s | on three nodes | of the command |\n|---|---:|---:|---:|"

# Runs a command and prints what it used. Linux counts to the largest memory of a program that of the process that
# started it, so this is a small one: the benchmark itself holds an engine.
MEASURED = """
import json, resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds, memory = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
print(json.dumps({"status": status, "core_seconds": seconds, "resident_bytes": memory}))
"""


class Speed(NamedTuple):
    """Of the command or a part of it: seconds of the clock and of a core for each photo, and the largest memory."""

    seconds: float
    core_seconds: float
    resident_bytes: int = 0


def measure(work: Callable[[int], object], threads: int) -> Speed:
    """Call `work` on this many threads, each time with another number."""
    until = perf_counter() + SECONDS

    def loop(first: int) -> int:
        count = 0
        while perf_counter() < until:
            work(first + count * threads)
            count += 1
        return count

    began, worked = perf_counter(), process_time()
    with ThreadPoolExecutor(threads) as pool:
        photos = sum(pool.map(loop, range(threads)))
    return Speed((perf_counter() - began) / photos, (process_time() - worked) / photos)


def run(folder: Path, model: Model, data: Path, cluster: Cluster | None = None) -> Speed:
    """Classify a folder, in a process of its own; on a cluster without the processor time and memory of its nodes."""
    variables = {"CATDOG_MODELS_DIR": str(model.version.path.parent), "CATDOG_DATA_DIR": str(data)}
    result = folder.with_suffix(".parquet" if cluster is None else ".ray.parquet")
    command = [sys.executable, "-m", "command", "classify", str(folder), "--to", str(result), "--overwrite", "--json"]
    if cluster is not None:
        command = [str(cluster.python), *command[1:], "--ray", cluster.address]
        variables |= cluster.variables
    measured = [sys.executable, "-c", MEASURED, *command]
    began = perf_counter()
    used = json.loads(subprocess.check_output(measured, cwd=ROOT, env=os.environ | variables, encoding="utf-8"))
    seconds = perf_counter() - began
    count = sum(1 for _ in folder.iterdir())
    if used["status"] or parquet.read_table(result, columns=["path"]).num_rows != count:
        raise RuntimeError(f"the command failed: {command}")
    return Speed(seconds / count, used["core_seconds"] / count, used["resident_bytes"])


def linked(folder: Path, originals: list[Path], count: int) -> Path:
    """A folder with this many links to the photos, each several times."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:07}.jpg").symlink_to(originals[number % len(originals)])
    return folder


def line(model: Model, few: Path, many: Path, data: Path) -> str:
    """The row of the table for one model."""
    contents = [path.read_bytes() for path in sorted(few.iterdir())[:80]]
    engine = OpenVINOEngine(model.version.network(), streams=None)
    picture = golden.pictures()[:1]
    small = run(few, model, data)  # also compiles the graph
    rounds = [
        (
            measure(lambda place: images.decode(contents[place % len(contents)]), resources.usable_cores()),
            measure(lambda _: engine.infer(picture, shared=True), engine.streams),
            run(many, model, data),
        )
        for _ in range(ROUNDS)
    ]
    decoding, inference, command = (_median(speeds) for speeds in zip(*rounds, strict=True))
    limit = decoding.seconds + inference.seconds
    core = decoding.core_seconds + inference.core_seconds
    more = command.resident_bytes / small.resident_bytes - 1
    cells = [
        f"{model.name}, {engine.precision}",
        f"{1 / limit:.1f}",
        f"{1 / command.seconds:.1f}",
        f"{limit / command.seconds:.2f}",
        f"{1000 * core:.1f}",
        f"{1000 * command.core_seconds:.1f}",
        f"{core / command.core_seconds:.2f}",
        f"{command.resident_bytes / 1e6:.0f} MB",
        f"{more:+.1%}",
    ]
    return f"| {' | '.join(cells)} |"


def on_nodes(model: Model, few: Path, many: Path, data: Path, cluster: Cluster) -> str:
    """The row of the table with `--ray`."""
    run(few, model, data)  # compiles the graph
    rounds = [(run(many, model, data), run(many, model, data, cluster)) for _ in range(ROUNDS)]
    here, there = (median(speed.seconds for speed in speeds) for speeds in zip(*rounds, strict=True))
    return f"| {model.name} | {1 / here:.1f} | {1 / there:.1f} | {here / there:.2f} |"


def _median(speeds: Sequence[Speed]) -> Speed:
    seconds, core_seconds, resident = zip(*speeds, strict=True)
    return Speed(median(seconds), median(core_seconds), max(resident))


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=20_000, help="photos of the large folder (default: 20,000)")
    parser.add_argument("--few", type=int, default=2_000, help="photos of the small folder (default: 2,000)")
    parser.add_argument("--model", choices=versions.MODELS, action="append", help="by its width (default: both)")
    parser.add_argument("--ray", action="store_true", help="on a Ray cluster, which it installs (2.7 GB)")
    given = parser.parse_args()
    os_tuning.limit_arenas()  # as the command does
    os_tuning.keep_memory()
    print(f"{Machine.this().where}, {Machine.this().libraries}; {given.photos:,} {photos.described()}", end="")
    print("" if given.ray else f", memory against {given.few:,}", end="\n\n")
    with TemporaryDirectory() as temporary:
        _compare(given, Path(temporary))


def _compare(given: Namespace, folder: Path) -> None:
    """Print the table."""
    originals = []
    for number, content in enumerate(photos.photos()):
        originals.append(folder / f"original-{number}.jpg")
        originals[-1].write_bytes(content)
    many = linked(folder / str(given.photos), originals, given.photos)
    few = linked(folder / f"few-{given.few}", originals, given.few)
    models = [versions.MODELS[name](folder / name) for name in given.model or versions.MODELS]
    if given.ray:
        print(HEAD_ON_NODES)
        with ray_cluster.cluster(max(1, resources.usable_cores() // ray_cluster.NODES)) as cluster:
            for model in models:
                print(on_nodes(model, few, many, folder / "data", cluster), flush=True)
        return
    print(HEAD)
    for model in models:
        print(line(model, few, many, folder / "data"), flush=True)


if __name__ == "__main__":
    main()
