"""Measures the latency of predictions next to a candidate on trial: median and 99th percentile.

`python -m benchmarks.experiments.shadow [--rounds 20] [--seconds 10]` starts the service with the shipped model and
sends photos at half of its capacity. Rounds without and with a trial take turns, once with a candidate that is a head
on the champion's network, once with another network. It prints percentiles of all requests, and the ratio with its 95%
interval, by a bootstrap over the pairs of rounds.
"""

import argparse
import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import photos
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import PATIENCE_SECONDS, ROOT, Process, python, running
from benchmarks.harness.versions import shipped, with_another_backbone
from benchmarks.load import closed_loop
from benchmarks.load.client import Client
from benchmarks.load.open_loop import OpenLoop
from catdog.versions.store import Store
from catdog.versions.version import Version
from training.publishing.publish import amended

CLIENTS = 8
CAPACITY_SECONDS = 10.0
SHARE = 0.5  # of the capacity
RESAMPLES = 2000
PAUSE_SECONDS = 0.2
SETTLE_SECONDS = 3.0  # longer than the service needs to notice that a trial has ended


@dataclass(frozen=True)
class Round:
    """One round: latencies, and the number of photos that the candidate answered."""

    seconds: Sequence[float]
    failures: int
    compared: int


Pair = tuple[Round, Round]  # without and with the candidate


def measure(process: Process, uploads: Sequence[Upload], rate: float, seconds: float) -> Round:
    before = _trial_photos(process.port)
    with OpenLoop(process.port, uploads, rate) as load:
        Event().wait(seconds)
    return Round(load.latencies_seconds, load.failures, _trial_photos(process.port) - before)


def pairs(
    process: Process, store: Store, candidate: int, uploads: Sequence[Upload], rate: float, rounds: int, seconds: float
) -> list[Pair]:
    """Rounds without and with the candidate, in turn."""
    found = []
    with Client(process.port) as client:
        for _ in range(rounds):
            alone = measure(process, uploads, rate, seconds)
            store.try_out(candidate, store.champion())
            while not _trial_photos(process.port):
                client.predict(uploads[0])
                Event().wait(PAUSE_SECONDS)  # the candidate waits for idle time
            found.append((alone, measure(process, uploads, rate, seconds)))
            with store.unchanged():
                store.trials.forget(candidate)
            Event().wait(SETTLE_SECONDS)
    return found


def line(name: str, found: Sequence[Pair]) -> str:
    """A row of the table."""
    cells = []
    for percent in (50, 99):
        alone, beside = _percentiles(found, percent)
        low, high = _interval(found, percent)
        cells += [f"{1000 * alone:.1f}", f"{1000 * beside:.1f}", f"{beside / alone:.2f} ({low:.2f} to {high:.2f})"]
    requests = sum(len(one.seconds) for pair in found for one in pair)
    failures = sum(one.failures for pair in found for one in pair)
    return f"| {name} | {' | '.join(cells)} | {sum(one.compared for _, one in found):,} | {requests:,} | {failures} |"


def _percentiles(found: Sequence[Pair], percent: float) -> NDArray[np.float64]:
    """A percentile of all latencies without and with the candidate, (2,), in seconds."""
    return np.array(
        [np.percentile(np.concatenate([one.seconds for one in side]), percent) for side in zip(*found, strict=True)]
    )


def _interval(found: Sequence[Pair], percent: float) -> tuple[float, float]:
    """The 95% interval of the ratio of two percentiles."""
    chance, ratios = random.Random(0), []  # noqa: S311  # no cryptography
    for _ in range(RESAMPLES):
        alone, beside = _percentiles(chance.choices(found, k=len(found)), percent)
        ratios.append(beside / alone)
    low, high = np.percentile(ratios, (2.5, 97.5)).tolist()
    return low, high


def _trial_photos(port: int) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/shadow")
        found = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return int(found["trial"]["photos"]) if found["running"] else 0


def run(version: Version, uploads: Sequence[Upload], folder: Path, rounds: int, seconds: float) -> list[str]:
    """The rows of the table."""
    store = Store(version.path.parent)
    store.promote(version.number)
    candidates = {
        "a head on its network": amended(store, version, "python -m benchmarks", {}, {}).number,
        "another network": with_another_backbone(version).number,
    }
    settings = {
        "CATDOG_MODELS_DIR": str(store.root),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_SHADOW_PHOTOS": "1000000000",
        "CATDOG_KEEP_UPLOADS": "0",
    }
    with running(python("app"), settings, folder) as process:
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
        requests = [upload.request for upload in uploads]
        order = itertools.cycle(range(len(uploads)))
        most = closed_loop.ask(process.port, requests, order, CLIENTS, CAPACITY_SECONDS)
        rate = SHARE * most.requests_a_second
        print(f"{rate:.0f} requests a second", flush=True)
        return [
            line(name, pairs(process, store, number, uploads, rate, rounds, seconds))
            for name, number in candidates.items()
        ]


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.experiments.shadow", description="Measures a trial.")
    parser.add_argument("--rounds", type=int, default=20, help="pairs of rounds for each candidate (20)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round (10)")
    given = parser.parse_args()
    uploads = [Upload.of(photo) for photo in photos.photos()]
    with TemporaryDirectory() as name:
        folder = Path(name)
        version = shipped(ROOT / "models", folder / "models").version
        rows = run(version, uploads, folder, given.rounds, given.seconds)
    print(f"{Machine.this().where}, {given.rounds} pairs of rounds of {given.seconds:g} s, {photos.described()}\n")
    print(
        "| candidate | p50 alone, ms | beside | ratio | p99 alone, ms | beside | ratio | compared | requests | failed |"
    )
    print(f"|---|{'---:|' * 9}")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
