"""Measures limits by key: their cost, and whether a greedy client delays others (decision 21).

`python -m benchmarks.experiments.limits [--rounds N] [--seconds S]`. Three clients with a key each send photos at their
limit; then one of them sends at ten times its limit, with limits and without. The three ways take turns. Other load on
a shared machine comes in bursts, so the median of the rounds' p99 is compared.
"""

import argparse
import json
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep

import numpy as np
from fastapi import Request

from app.settings import Settings
from app.web.quotas.quotas import SAVED_SECONDS, Quotas
from benchmarks.harness import photos
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import ROOT, Process, python, running
from benchmarks.load.client import Client
from benchmarks.load.exchanges import Answered, Exchanges
from benchmarks.load.open_loop import OpenLoop
from catdog.access.roles import NO_LIMITS, Limits

RATE = 1.0  # requests a second that each client may send
CLIENTS = 3  # the first one is the greedy one
GREED = 10
ADMIN_KEY = "the key of the benchmark"
PHOTOS = 20
CHECKS = 10_000
ASKED = 2000  # requests of a measurement of processor time
UNLIMITED = 1e6


@contextmanager
def service(folder: Path) -> Iterator[Process]:
    settings = {
        "CATDOG_MODELS_DIR": str(ROOT / "models"),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_WORKER": "none",
        "CATDOG_ADMIN_KEY": ADMIN_KEY,
    }
    with running(python("app"), settings, folder) as process:
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
        yield process


def send(process: Process, method: str, path: str, body: dict[str, object]) -> dict[str, object]:
    """The answer to a request with the admin key."""
    request = urllib.request.Request(f"http://127.0.0.1:{process.port}{path}", json.dumps(body).encode(), method=method)
    request.add_header("Authorization", f"Bearer {ADMIN_KEY}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as response:  # noqa: S310  # to the service that it started
        answer: dict[str, object] = json.load(response)
    return answer


def microseconds_a_check(folder: Path, limits: Limits) -> float:
    """Processor time of the check of one request with a named key: the best of five rounds."""
    quotas, seconds = Quotas(Settings.model_construct(data_dir=folder)), []
    for _ in range(5):
        began = process_time()
        for _ in range(CHECKS):
            quotas.check_key(Request({"type": "http", "headers": [], "state": {}}), "ann", limits)
        seconds.append(process_time() - began)
    quotas.close()
    return 1e6 * min(seconds) / CHECKS


def microseconds_a_request(process: Process, key: str) -> float:
    """Processor time of the service for one `GET /model` with this key."""
    head = f"GET /model HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    before = process.cpu_seconds() or 0.0
    with Exchanges(process.port, [head]) as exchanges:
        for _ in range(ASKED):
            exchanges.ask(0, perf_counter())
            while exchanges.waiting:
                if any(one.answer is None for one in exchanges.wait()):
                    raise SystemExit("a request failed")
    return 1e6 * ((process.cpu_seconds() or 0.0) - before) / ASKED


def others(process: Process, uploads: Sequence[Sequence[Upload]], greed: float, seconds: float) -> list[Answered]:
    """What all clients but the first got, while that one sent `greed` times as much."""
    with ExitStack() as stack:
        loops = [
            stack.enter_context(OpenLoop(process.port, mine, RATE * (greed if number == 0 else 1)))
            for number, mine in enumerate(uploads)
        ]
        sleep(seconds)
    return [one for loop in loops[1:] for one in loop.answered]


def cost(process: Process, folder: Path, key: str, rounds: int) -> Iterator[str]:
    ways = {"no limit": NO_LIMITS, "two limits": Limits(UNLIMITED, 10**15)}
    for name, limits in ways.items():
        yield f"the check of a request, {name}: {microseconds_a_check(folder, limits):.1f} us of a processor"
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, limits in ways.items():
            send(process, "PATCH", "/keys/client-1", limits._asdict())
            found[name].append(microseconds_a_request(process, key))
    for name, costs in found.items():
        rounds_found = ", ".join(f"{one:.0f}" for one in costs)
        yield f"GET /model with a named key, {name}: {median(costs):.0f} us of a processor ({rounds_found})"


def fairness(process: Process, uploads: Sequence[Sequence[Upload]], rounds: int, seconds: float) -> Iterator[str]:
    ways = {
        "all at their limit": (1.0, RATE),
        "one at ten times it": (GREED, RATE),
        "the same, no limit": (GREED, None),
    }
    found: dict[str, list[Answered]] = {name: [] for name in ways}
    of_rounds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (greed, limit) in ways.items():
            send(process, "PATCH", "/keys/client-0", {} if limit is None else {"requests_per_second": limit})
            sleep(SAVED_SECONDS)  # until nothing of the way before counts
            got = others(process, uploads, greed, seconds)
            found[name] += got
            of_rounds[name].append(percentile_ms(got, 99))
    alone = median(of_rounds["all at their limit"])
    for name, got in found.items():
        failed = sum(one.answer is None for one in got)
        single = ", ".join(f"{one:.0f}" for one in of_rounds[name])
        yield (
            f"{name}: {len(got)} requests of the others, {failed} failed; median {percentile_ms(got, 50):.0f} ms,"
            f" p99 {percentile_ms(got, 99):.0f} ms; p99 of the rounds {single},"
            f" median {median(of_rounds[name]):.0f} ms ({median(of_rounds[name]) / alone:.2f} times)"
        )


def percentile_ms(answered: Sequence[Answered], percent: float) -> float:
    return 1000 * float(np.percentile([one.seconds for one in answered if one.answer is not None], percent))


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.experiments.limits")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20, help="of each way in each round (20)")
    given = parser.parse_args()
    sys.stdout.write(f"{Machine.this().where}\n")
    with TemporaryDirectory() as name, service(Path(name)) as process:
        body = {"role": "predict", "requests_per_second": RATE}
        made = [send(process, "POST", "/keys", {"name": f"client-{number}", **body}) for number in range(CLIENTS)]
        keys = [str(one["key"]) for one in made]
        pool = [Upload.of(photo) for photo in photos.photos()[:PHOTOS]]
        uploads = [
            [replace(one, headers={**one.headers, "Authorization": f"Bearer {key}"}) for one in pool] for key in keys
        ]
        for line in (
            *fairness(process, uploads, given.rounds, given.seconds),
            *cost(process, Path(name), keys[1], given.rounds),
        ):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
