"""Latency of single predictions while a batch is classified, against the latency without one.

    python -m benchmarks.experiments.batches [--rounds N] [--seconds S] [--model slim] [--model full]

Predictions are sent at a constant rate of half of the service's capacity. The 99th percentiles are medians over windows
of 5 seconds; time with a batch and time without one alternate. The batch is a ZIP of real photos, or else generated
ones, each several times.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter
from typing import Final, NamedTuple
from zipfile import ZIP_STORED, ZipFile

from benchmarks.harness import photos, versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import PATIENCE_SECONDS, ROOT, BenchmarkError, python, running
from benchmarks.harness.versions import Model
from benchmarks.load.client import Client
from benchmarks.load.exchanges import Answered
from benchmarks.load.open_loop import OpenLoop, p99_milliseconds
from catdog.client import Batch, Conflict
from catdog.client import Client as Service

KEY: Final = "the key of the benchmarks"
MODELS: Final = {"slim": versions.slim, "full": versions.full_width}
CAPACITY_SECONDS: Final = 4.0
PHOTOS: Final = 15_000  # of a batch: it must not end within a round
LOOK_SECONDS: Final = 0.05


class Found(NamedTuple):
    """Predictions alone and next to a batch, and the photos of batches that were classified in a second."""

    requests_a_second: float
    alone: Sequence[Answered]
    beside: Sequence[Answered]
    photos_a_second: float


def measure(model: Model, archive: Path, folder: Path, rounds: int, seconds: float) -> Found:
    """Measure with a service of one model."""
    settings = {
        "CATDOG_MODELS_DIR": str(model.version.path.parent),
        "CATDOG_DATA_DIR": str(folder / "data"),
        "CATDOG_ADMIN_KEY": KEY,
    }
    folder.mkdir()
    uploads = [Upload.of(photo) for photo in photos.photos()]
    alone: list[Answered] = []
    beside: list[Answered] = []
    done = 0
    with (
        running(python("app"), settings, folder) as process,
        Service(f"http://127.0.0.1:{process.port}", KEY) as service,
    ):
        with Client(process.port) as client:
            process.seconds_until(lambda: client.succeeds("/health/ready"))
            rate = client.load(uploads, cycle(range(len(uploads))), CAPACITY_SECONDS).requests_a_second / 2
        for _ in range(rounds):
            alone += _load(process.port, uploads, rate, seconds)
            batch = _waited(service, service.start_batch(archive).id, lambda batch: batch.done > 0)
            beside += _load(process.port, uploads, rate, seconds)
            done += service.batch(batch.id).done - batch.done
            with suppress(Conflict):
                service.cancel_batch(batch.id)
            _waited(service, batch.id, lambda batch: batch.status.is_final)
    return Found(rate, alone, beside, done / (rounds * seconds))


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


def packed(path: Path) -> Path:
    """A ZIP of PHOTOS photos."""
    originals = photos.photos()
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for number in range(PHOTOS):
            archive.writestr(f"{number:05}.jpg", originals[number % len(originals)])
    return path


def row(model: Model, found: Found) -> str:
    """The row of the table for one model."""
    alone, beside = p99_milliseconds(found.alone), p99_milliseconds(found.beside)
    failures = sum(one.answer is None for one in (*found.alone, *found.beside))
    cells = [
        model.name,
        f"{found.requests_a_second:.1f}",
        f"{alone:.0f} ms",
        f"{beside:.0f} ms",
        f"{beside / alone:.2f}",
        f"{found.photos_a_second:.1f}",
        f"{failures} of {len(found.alone) + len(found.beside)}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="rounds, each without and with a batch (default: 6)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of predictions in each half (default: 10)")
    parser.add_argument("--model", choices=MODELS, action="append", help="by its width (default: both)")
    given = parser.parse_args()
    machine = Machine.this()
    print(f"{machine.where}, {machine.libraries}; {given.rounds} x {given.seconds:g} s, {photos.described()}\n")
    print("| model | requests/s | p99 alone | p99 with a batch | ratio | photos/s of the batch | failures |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        archive = packed(folder / "photos.zip")
        shipped = versions.shipped(ROOT / "models", folder / "shipped")
        for name in given.model or MODELS:
            model = MODELS[name](shipped, folder / name)
            found = measure(model, archive, folder / f"service-{name}", given.rounds, given.seconds)
            print(row(model, found), flush=True)


if __name__ == "__main__":
    main()
