"""Latency of single predictions while a batch is classified, against the latency without one.

    python -m benchmarks.experiments.batches [--rounds N] [--seconds S] [--model slim] [--model full]

In each round, predictions are sent at a constant rate of half of the service's capacity, at first without a batch and
then next to one. A 99th percentile is that of one half of a round; the table has the medians of the rounds, and the
ratio also with its lowest and highest. The batch is a ZIP of real photos, or else generated ones, each several times;
it is larger than what the machine can classify in a round. The default takes about five minutes for both models, and
needs a machine without other work: the batch uses only cores that are idle.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter
from typing import Final, NamedTuple
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from benchmarks.harness import photos, versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import PATIENCE_SECONDS, BenchmarkError, python, running
from benchmarks.harness.versions import Model
from benchmarks.load.client import Client
from benchmarks.load.exchanges import Answered
from benchmarks.load.open_loop import OpenLoop
from catdog.client import Batch, Conflict
from catdog.client import Client as Service

KEY: Final = "the key of the benchmarks"
CAPACITY_SECONDS: Final = 4.0
SPARE: Final = 3  # times what the service answers in a round are the photos of a batch: it must not end before
LOOK_SECONDS: Final = 0.05


class Round(NamedTuple):
    """Predictions alone and next to a batch, and the photos of the batch that were classified in a second."""

    alone: Sequence[Answered]
    beside: Sequence[Answered]
    photos_a_second: float

    @property
    def p99_milliseconds(self) -> tuple[float, float]:
        """Of the answered ones alone, and next to the batch."""
        alone, beside = ([one.seconds for one in half if one.answer is not None] for half in self[:2])
        return 1000 * float(np.percentile(alone, 99)), 1000 * float(np.percentile(beside, 99))


class Found(NamedTuple):
    """The rounds of one model, with this rate of predictions."""

    requests_a_second: float
    rounds: Sequence[Round]


def measure(model: Model, folder: Path, rounds: int, seconds: float) -> Found:
    """Measure with a service of one model."""
    settings = {
        "CATDOG_MODELS_DIR": str(model.version.path.parent),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_ADMIN_KEY": KEY,
    }
    folder.mkdir()
    uploads = [Upload.of(photo) for photo in photos.photos()]
    with (
        running(python("app"), settings, folder) as process,
        Service(f"http://127.0.0.1:{process.port}", KEY) as service,
    ):
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
            capacity = client.load(uploads, cycle(range(len(uploads))), CAPACITY_SECONDS).requests_a_second
        rate = capacity / 2
        archive = packed(folder / "photos.zip", int(SPARE * capacity * seconds) + 1)
        return Found(rate, [_round(service, process.port, uploads, archive, rate, seconds) for _ in range(rounds)])


def _round(service: Service, port: int, uploads: Sequence[Upload], archive: Path, rate: float, seconds: float) -> Round:
    alone = _load(port, uploads, rate, seconds)
    batch = _waited(service, service.start_batch(archive).id, lambda batch: batch.done > 0)
    beside = _load(port, uploads, rate, seconds)
    after = service.batch(batch.id)
    if after.status.is_final:
        raise BenchmarkError(f"the batch ended before the predictions next to it: {after.status}, {after.reason}")
    with suppress(Conflict):
        service.cancel_batch(batch.id)
    _waited(service, batch.id, lambda batch: batch.status.is_final)
    return Round(alone, beside, (after.done - batch.done) / seconds)


def _load(port: int, uploads: Sequence[Upload], rate: float, seconds: float) -> Sequence[Answered]:
    with OpenLoop(port, uploads, rate) as load:
        Event().wait(seconds)
    return load.answered


def _waited(service: Service, batch: str, condition: Callable[[Batch], bool]) -> Batch:
    """The batch once it meets the condition."""
    until = perf_counter() + PATIENCE_SECONDS
    while not condition(found := service.batch(batch)):
        if perf_counter() > until:
            raise BenchmarkError(f"a batch is {found.status}: {found.reason}")
        Event().wait(LOOK_SECONDS)
    return found


def packed(path: Path, count: int) -> Path:
    """A ZIP of this many photos."""
    originals = photos.photos()
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for number in range(count):
            archive.writestr(f"{number:05}.jpg", originals[number % len(originals)])
    return path


def row(model: Model, found: Found) -> str:
    """The row of the table for one model."""
    alone, beside = zip(*(each.p99_milliseconds for each in found.rounds), strict=True)
    ratios = sorted(after / before for before, after in zip(alone, beside, strict=True))
    asked = [one for each in found.rounds for half in each[:2] for one in half]
    cells = [
        model.name,
        f"{found.requests_a_second:.1f}",
        f"{median(alone):.0f} ms",
        f"{median(beside):.0f} ms",
        f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        f"{median(each.photos_a_second for each in found.rounds):.1f}",
        f"{sum(one.answer is None for one in asked)} of {len(asked):,}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each without and with a batch (default: 5)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of predictions in each half (default: 10)")
    parser.add_argument("--model", choices=versions.MODELS, action="append", help="by its width (default: both)")
    given = parser.parse_args()
    machine = Machine.this()
    print(f"{machine.where}, {machine.libraries}; {given.rounds} x {given.seconds:g} s, {photos.described()}\n")
    print("| model | requests/s | p99 alone | p99 with a batch | ratio | photos/s of the batch | failures |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in given.model or versions.MODELS:
            model = versions.MODELS[name](folder / name)
            found = measure(model, folder / f"service-{name}", given.rounds, given.seconds)
            print(row(model, found), flush=True)


if __name__ == "__main__":
    main()
