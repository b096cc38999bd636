"""One request at a time: the service against the way a tutorial serves the same weights."""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.client import Client, Load, Upload
from benchmarks.processes import python, running
from catdog.version import Version

TUTORIAL, OURS = "tutorial's way", "catdog"


@dataclass(frozen=True)
class System:
    """A way to serve; `health` is the address that answers 200 once it is ready, where it has one."""

    name: str
    command: list[str]
    settings: Mapping[str, str]
    health: str | None = None


@dataclass(frozen=True)
class Round:
    """A system started, asked for a while and ended. Ready and first answer count from its start."""

    ready_seconds: float | None
    first_answer_seconds: float
    load: Load
    resident_bytes: int | None
    peak_bytes: int | None


@dataclass(frozen=True)
class Summary:
    """The rounds of one system: medians, and the percentiles and counts of all their requests."""

    rounds: int
    requests_a_second: float
    p50_seconds: float | None  # None where nothing was answered
    p99_seconds: float | None
    answered: int
    failures: int
    ready_seconds: float | None
    first_answer_seconds: float
    resident_bytes: float | None
    peak_bytes: float | None

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> "Summary":
        latencies = [seconds for each in rounds for seconds in each.load.latencies_seconds]
        p50, p99 = map(float, np.percentile(latencies, (50, 99))) if latencies else (None, None)
        return cls(
            rounds=len(rounds),
            requests_a_second=median(each.load.requests_a_second for each in rounds),
            p50_seconds=p50,
            p99_seconds=p99,
            answered=len(latencies),
            failures=sum(each.load.failures for each in rounds),
            ready_seconds=_median(each.ready_seconds for each in rounds),
            first_answer_seconds=median(each.first_answer_seconds for each in rounds),
            resident_bytes=_median(each.resident_bytes for each in rounds),
            peak_bytes=_median(each.peak_bytes for each in rounds),
        )


@dataclass(frozen=True)
class Comparison:
    """Both systems with one version, and how far their probabilities lie apart at most, over `compared` photos."""

    model: str
    rounds: Mapping[str, Sequence[Round]]  # by the name of the system
    difference: float
    compared: int

    @property
    def summaries(self) -> dict[str, Summary]:
        return {name: Summary.of(rounds) for name, rounds in self.rounds.items()}


def compare(
    model: str, version: Version, photos: Sequence[bytes], rounds: int, seconds: float, folder: Path
) -> Comparison:
    """Interleaved rounds of `seconds` each. Both systems get the same photos in the same order."""
    uploads = [Upload.of(photo) for photo in photos]
    systems = (tutorial(version), ours(version))
    done: dict[str, list[Round]] = {system.name: [] for system in systems}
    for number in range(rounds):
        for system in systems[:: -1 if number % 2 else 1]:
            measured = measure(system, uploads, seconds, folder, seed=number)
            done[system.name].append(measured)
            speed = measured.load.requests_a_second
            print(f"{model}, round {number + 1}/{rounds}: {system.name} {speed:.1f} requests a second", flush=True)
    return Comparison(model, done, *_difference(*map(_answers, done.values())))


def tutorial(version: Version) -> System:
    return System(TUTORIAL, python("benchmarks.tutorial_service", version.path), {})


def ours(version: Version) -> System:
    return System(OURS, python("app"), {"CATDOG_MODELS_DIR": str(version.path.parent)}, health="/health/ready")


def measure(system: System, uploads: Sequence[Upload], seconds: float, folder: Path, seed: int) -> Round:
    with running(system.command, system.settings, folder) as process, Client(process.port) as client:
        health = system.health
        ready = None if health is None else process.seconds_until(lambda: client.succeeds(health))
        first = process.seconds_until(lambda: client.predict(uploads[0]) is not None)
        load = client.load(uploads, _shuffled(len(uploads), seed), seconds)
        resident, peak = process.memory_bytes() or (None, None)
    return Round(ready, first, load, resident, peak)


def _shuffled(count: int, seed: int) -> Iterator[int]:
    """The places 0 to count - 1 in random order, again and again."""
    chance = random.Random(seed)  # noqa: S311  # an order is no secret
    while True:
        yield from chance.sample(range(count), count)


def _answers(rounds: Iterable[Round]) -> dict[int, Mapping[str, float]]:
    """Probabilities by class, by the photo's place."""
    return {
        place: json.loads(answer)["probabilities"] for each in rounds for place, answer in each.load.answers.items()
    }


def _difference(one: Mapping[int, Mapping[str, float]], other: Mapping[int, Mapping[str, float]]) -> tuple[float, int]:
    """The largest between two probabilities of a class, and over how many photos."""
    both = one.keys() & other.keys()
    apart = (abs(one[place][name] - other[place][name]) for place in both for name in one[place])
    return max(apart, default=0.0), len(both)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
