"""Shows where slow requests wait at a share of the capacity: the phases of all and of the slowest.

`python -m benchmarks.serving.tail [--rounds 9] [--seconds 10] [--share 0.7] [--full] [WAY...]` starts the service as it
is, and once for each WAY with something changed. They take turns: one client, which gives the unloaded median, 8
clients, which give the capacity, then a constant rate. The phases are those of the service's log, which is on for every
request. `rest` is all between them: the event loop, and waiting for a core or for Python's lock.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import photos, versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import PREDICT, Upload
from benchmarks.harness.processes import Process, running
from benchmarks.load import closed_loop
from benchmarks.load.client import Client
from benchmarks.load.closed_loop import percentile
from benchmarks.load.open_loop import OpenLoop
from benchmarks.serving.rounds import CAPACITY_SHARE, MANY
from catdog.versions.store import Store

AS_IT_IS = "as it is"
# Python statements that change something before the service starts.
WAYS = {
    AS_IT_IS: "",
    "decoding at the priority of inference": "import app.serving.decoding as d; d.NICE = 0",
    "one decoder": "os.environ['CATDOG_DECODERS'] = '1'",
    "one inference at a time": "os.environ['CATDOG_STREAMS'] = '1'",
    "inference never on every core": "import app.serving.batcher as b; b.CALM_SECONDS = float('inf')",
    "threads switch sooner": "sys.setswitchinterval(0.0005)",
    "no photos kept": "os.environ['CATDOG_KEEP_UPLOADS'] = '0'",
}
START = "import os, sys; os.environ['CATDOG_PORT'] = os.environ['PORT']; sys.argv = ['app']\n"
RUN = "\nfrom app.__main__ import main\nmain()"
PHASES = ("read", "queue", "decode", "infer", "rest")
SLOWEST_PERCENT = 1

Phases = NDArray[np.float64]  # milliseconds of each request, (n, phases)


@dataclass(frozen=True)
class Round:
    """Milliseconds of the unloaded median and of every request at the constant rate; requests a second of 8 clients."""

    unloaded: float
    capacity: float
    latencies: Sequence[float]
    phases: Phases
    failures: int

    @property
    def p99(self) -> float:
        return percentile(self.latencies, 99) or float("nan")


def phases(log: Iterable[str]) -> Phases:
    """The phases of every prediction in a log of JSON lines, in the order of PHASES."""
    found = []
    for line in log:
        request = json.loads(line)
        if request.get("route") == PREDICT:
            named = [request.get(f"{name}_seconds", 0.0) for name in PHASES[:-1]]
            found.append([*named, request["seconds"] - sum(named)])
    return 1000 * np.array(found).reshape(-1, len(PHASES))


def measure(process: Process, uploads: Sequence[Upload], seconds: float, share: float) -> Round:
    requests, order = [upload.request for upload in uploads], closed_loop.shuffled(len(uploads), seed=0)
    alone = closed_loop.ask(process.port, requests, order, 1, seconds / 2)
    most = closed_loop.ask(process.port, requests, order, MANY, seconds / 2)
    before = process.log.stat().st_size
    with OpenLoop(process.port, uploads, share * most.requests_a_second) as load:
        Event().wait(seconds)
    with process.log.open("rb") as file:
        file.seek(before)
        lines = file.read().decode().splitlines()
    return Round(
        1000 * (alone.percentile_seconds(50) or float("nan")),
        most.requests_a_second,
        [1000 * each for each in load.latencies_seconds],
        phases(lines),
        load.failures,
    )


def table(found: Mapping[str, Sequence[Round]]) -> list[str]:
    """A row for each way: medians of its rounds; phases are means over all requests, and over the slowest."""
    rows = [
        f"| way | unloaded p50, ms | requests a second | p99, ms | times the p50 | {' | '.join(PHASES)} |",
        f"|---|{'---:|' * (4 + len(PHASES))}",
    ]
    for way, rounds in found.items():
        unloaded, capacity, p99, ratio = (
            median(values)
            for values in zip(
                *[(one.unloaded, one.capacity, one.p99, one.p99 / one.unloaded) for one in rounds], strict=True
            )
        )
        every = np.concatenate([one.phases for one in rounds])
        slow = every[np.argsort(every.sum(axis=1))[-max(1, len(every) * SLOWEST_PERCENT // 100) :]]
        means = [f"{mean:.1f}, {of_slow:.1f}" for mean, of_slow in zip(every.mean(0), slow.mean(0), strict=True)]
        rows.append(f"| {way} | {unloaded:.1f} | {capacity:.0f} | {p99:.1f} | {ratio:.2f} | {' | '.join(means)} |")
    failures = sum(one.failures for rounds in found.values() for one in rounds)
    return [*rows, "", f"phases: mean of all requests, and of the slowest {SLOWEST_PERCENT}%; {failures} failed"]


def run(ways: Sequence[str], is_full: bool, rounds: int, seconds: float, share: float) -> dict[str, list[Round]]:
    found: dict[str, list[Round]] = {way: [] for way in ways}
    chance = random.Random(0)  # noqa: S311  # no cryptography
    uploads = [Upload.of(photo) for photo in photos.photos()]
    with TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        version = versions.MODELS["full" if is_full else "slim"](folder / "models").version
        Store(version.path.parent).promote(version.number)
        services = {}
        for number, way in enumerate(ways):
            own = folder / str(number)
            own.mkdir()
            settings = {
                "CATDOG_MODELS_DIR": str(version.path.parent),
                "CATDOG_DATA_DIR": str(own / "data"),
                "CATDOG_WORKER": "none",
                "CATDOG_LOG_FORMAT": "json",
                "CATDOG_LOG_SLOW_SECONDS": "0",
            }
            command = [sys.executable, "-c", f"{START}{WAYS[way]}{RUN}"]
            services[way] = process = stack.enter_context(running(command, settings, own))
            with Client(process.port) as client:
                process.seconds_until(lambda client=client: client.predict(uploads[0]) is not None)  # type: ignore[misc]
            closed_loop.ask(process.port, [uploads[0].request], closed_loop.shuffled(1, 0), MANY, seconds / 4)
        for _ in range(rounds):
            for way in chance.sample(list(ways), len(ways)):
                found[way].append(measure(services[way], uploads, seconds, share))
    return found


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.serving.tail", description="Where slow requests wait.")
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(map(repr, WAYS))}; all")
    parser.add_argument("--rounds", type=int, default=9, help="of each way, in turn (9)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the constant rate in each (10)")
    parser.add_argument("--share", type=float, default=CAPACITY_SHARE, help=f"of the capacity ({CAPACITY_SHARE})")
    parser.add_argument("--full", action="store_true", help="the shipped version, instead of a quarter of its width")
    given = parser.parse_args()
    ways = list(dict.fromkeys([AS_IT_IS, *(given.ways or WAYS)]))
    found = run(ways, given.full, given.rounds, given.seconds, given.share)
    print("\n".join(table(found)))
    print(f"\n{given.rounds} rounds of {given.seconds:g} s; {photos.described()}; {Machine.this().where}")


if __name__ == "__main__":
    main()
