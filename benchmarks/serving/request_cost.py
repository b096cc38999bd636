"""Measures the processor time of a request besides decoding and inference, and of each part of it.

`python -m benchmarks.serving.request_cost [--rounds 15] [--seconds 2] [--against CHECKOUT]` sends `POST /predict`
from one client, over one connection. The services run at the same time, on one core, and take turns: without decoding
and inference, and with more and more parts replaced. With `--against`, only the whole service takes turns with that of
another checkout of the repository. The client has another core. It needs Linux.
"""

import argparse
import os
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.harness import photos, versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import ROOT, Process, python, running
from benchmarks.harness.tree import run_seconds
from benchmarks.load import closed_loop
from benchmarks.serving.rounds import start
from benchmarks.serving.stub_service import WITHOUT
from benchmarks.serving.systems import System

WIDTH = 1 / 32
WARM_SECONDS = 1.0
RESAMPLES = 2000
WHOLE, OTHER = "the whole service", "the other checkout"

Costs = Mapping[str, Sequence[float]]  # milliseconds of the processor for a request, of each round


def measure(services: Mapping[str, Process], uploads: Sequence[Upload], rounds: int, seconds: float) -> Costs:
    """Ask each service for some seconds, in random order, in every round."""
    requests, order = [upload.request for upload in uploads], closed_loop.shuffled(len(uploads), seed=0)
    found: dict[str, list[float]] = {name: [] for name in services}
    chance = random.Random(0)  # noqa: S311  # no cryptography
    for process in services.values():
        closed_loop.ask(process.port, requests, order, 1, WARM_SECONDS)
    for _ in range(rounds):
        for name in chance.sample(list(services), len(services)):
            process = services[name]
            before = run_seconds(process.popen.pid)
            load = closed_loop.ask(process.port, requests, order, 1, seconds)
            found[name].append(1000 * (run_seconds(process.popen.pid) - before) / load.answered)
            if load.failures:
                raise SystemExit(f"{load.failures} requests to {name} failed")
    return found


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of their median, by a bootstrap."""
    chance = np.random.default_rng(0)
    medians = np.median(chance.choice(differences, (RESAMPLES, len(differences))), axis=1)
    low, high = np.percentile(medians, (2.5, 97.5)).tolist()
    return low, high


def table(costs: Costs) -> list[str]:
    """A row for each service: its cost, and how much less it is than that of the row above, with its 95% interval."""
    rows = ["| service | ms of the processor | less than above |", "|---|---:|---:|"]
    above: Sequence[float] | None = None
    for name, found in costs.items():
        less = ""
        if above is not None:
            differences = [a - b for a, b in zip(above, found, strict=True)]
            less = "{:.3f} ({:.3f} to {:.3f})".format(median(differences), *interval(differences))
        rows.append(f"| {name} | {median(found):.3f} | {less} |")
        above = found
    return rows


def run(against: Path | None, uploads: Sequence[Upload], rounds: int, seconds: float) -> Costs:
    core, other, *_ = sorted(os.sched_getaffinity(0))
    if against is None:
        parts = {WHOLE: (ROOT, ""), **{name: (ROOT, name) for name in WITHOUT}}
    else:
        parts = {OTHER: (against, ""), WHOLE: (ROOT, "")}
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        versions.random(WIDTH, folder / "models")
        services = {}
        for number, (name, (checkout, part)) in enumerate(parts.items()):
            own = folder / str(number)
            own.mkdir()
            command = python("benchmarks.serving.stub_service", str(core), *([part] if part else []))
            settings = {
                "CATDOG_MODELS_DIR": str(folder / "models"),
                "CATDOG_DATA_DIR": str(own / "data"),
                "CATDOG_WORKER": "none",
                "PYTHONPATH": str(checkout),
            }
            services[name] = process = stack.enter_context(running(command, settings, own))
            start(System(name, command, health="/health/ready"), process, uploads[0])
        os.sched_setaffinity(0, {other})
        return measure(services, uploads, rounds, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.serving.request_cost", description="The processor time of a request."
    )
    parser.add_argument("--rounds", type=int, default=15, help="of each service, in turn (15)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each (2)")
    parser.add_argument("--against", type=Path, help="another checkout, to compare with")
    given = parser.parse_args()
    uploads = [Upload.of(photo) for photo in photos.photos()]
    where = Machine.this().where
    costs = run(given.against, uploads, given.rounds, given.seconds)
    print("\n".join(table(costs)))
    print(f"\n{given.rounds} rounds of {given.seconds:g} s, medians; {photos.described()}; {where}")


if __name__ == "__main__":
    main()
