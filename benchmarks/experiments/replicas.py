"""Simulates replicas that follow an object store: its requests, loads at once, time until all serve.

`python -m benchmarks.experiments.replicas [--replicas 1000]` uses the intervals of the service and the files of the
shipped version. Every replica looks at random moments, waits for its turn after a promotion, and requests the files.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Final

from app.serving.hot_swap import POLL_SECONDS, SPREAD
from benchmarks.harness.processes import ROOT
from catdog.versions.places.bucket_mirror import CHECK_SECONDS
from catdog.versions.store import SHIPPED

REST_SECONDS: Final = 60.0  # before the promotion
LOADS: Final = (0.2, 2.5, 10.0)  # seconds: a small network, the shipped one, and with a slow download


@dataclass(frozen=True)
class Simulated:
    """One promotion, followed by every replica. Rates are requests a second; shares are of the replicas."""

    at_rest: float  # mean rate
    most_at_rest: int  # in one second
    most_after: int
    most_loading: float  # at once
    mean_loading: float  # at once, while any loads
    seconds: float  # until every replica serves


def looks(chance: random.Random, until: float) -> Iterator[float]:
    """When a replica asks the object store: at a poll of the service after its interval, which varies by 25%."""
    poll = chance.uniform(0, POLL_SECONDS)
    due = chance.uniform(0, CHECK_SECONDS)
    while poll < until:
        if poll >= due:
            yield poll
            due = poll + CHECK_SECONDS * chance.uniform(0.75, 1.25)
        poll += POLL_SECONDS


def simulate(replicas: int, load_seconds: float, spread: float, files: int) -> Simulated:
    """Promote once after REST_SECONDS; a load takes between 80% and 120% of `load_seconds`."""
    chance = random.Random(0)  # noqa: S311, no secret
    rate: Counter[int] = Counter()  # requests, by second
    began, ended = [], []
    horizon = REST_SECONDS + 10 * CHECK_SECONDS + (spread + 2) * load_seconds
    for _ in range(replicas):
        seen = 0.0
        for moment in looks(chance, horizon):
            rate[int(moment)] += 1
            seen = seen or (moment if moment >= REST_SECONDS else 0.0)
        waited = seen + chance.uniform(0, spread * load_seconds)
        start = waited + chance.uniform(0, POLL_SECONDS)  # the next poll
        rate[int(start)] += files
        began.append(start)
        ended.append(start + load_seconds * chance.uniform(0.8, 1.2))
    at_rest = [rate[second] for second in range(5, int(REST_SECONDS))]
    moments = [min(began) + step * (max(ended) - min(began)) / 500 for step in range(500)]
    loading = [sum(start <= moment < end for start, end in zip(began, ended, strict=True)) for moment in moments]
    return Simulated(
        mean(at_rest),
        max(at_rest),
        max(count for second, count in rate.items() if second >= REST_SECONDS),
        max(loading) / replicas,
        mean(loading) / replicas,
        max(ended) - REST_SECONDS,
    )


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.experiments.replicas", description=__doc__)
    parser.add_argument("--replicas", type=int, default=1000, help="number of replicas (1000)")
    given = parser.parse_args()
    files = [path for path in Path(ROOT, "models", str(SHIPPED)).rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    print(f"{given.replicas:,} replicas; a version has {len(files)} files, {megabytes:.0f} MB")
    print("load  wait up to  requests/s at rest (most)  most after a promotion  loading at once: mean, most  all serve")
    for load_seconds in LOADS:
        for spread in (0, SPREAD):
            found = simulate(given.replicas, load_seconds, spread, len(files))
            print(
                f"{load_seconds:4.1f} s {spread * load_seconds:8.1f} s {found.at_rest:15,.0f} ({found.most_at_rest:,})"
                f" {found.most_after:20,} {found.mean_loading:20.1%}, {found.most_loading:.1%} {found.seconds:9.1f} s"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
