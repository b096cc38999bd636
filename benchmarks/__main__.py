"""Measure side by side with the usual way: `python -m benchmarks [serving] [training] [retraining]`."""

import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import photos, retraining, serving, training, versions
from benchmarks.client import Upload
from benchmarks.machine import Machine
from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.results import Results
from catdog.errors import CatdogError
from catdog.version import Version

PARTS = ("serving", "training", "retraining")
FULL_WIDTH = "full width, random arrays"
WIDENED = "the same widened to full width"
STOPPED = 130  # exit status after Ctrl-C, as shells have it


def main() -> int:
    """Measure, write the results and print them; the exit status is 1 where something couldn't be measured."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))  # so that what was started is ended then, too
    try:
        with TemporaryDirectory(prefix="catdog-benchmarks-") as folder:
            results = _measure(arguments, Path(folder))
    except (BenchmarkError, CatdogError) as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return 1
    except KeyboardInterrupt:
        return STOPPED
    page = results.write(arguments.results)
    print(f"\n{page.read_text('utf-8')}\nwritten to {page}")
    return 0


def _measure(arguments: Namespace, folder: Path) -> Results:
    parts = arguments.parts
    shipped = versions.shipped(arguments.models, folder / "shipped")
    notes = [f"The service computes in {Machine.this().precision}."]
    served: Sequence[serving.Comparison] = ()
    trained = None
    if "serving" in parts:
        served = _serving(arguments, shipped, folder)
        notes.append(
            f"Serving: one client, one request at a time, {photos.described()}, {arguments.rounds} interleaved rounds"
            f" of {arguments.seconds:g} s, each with a service started anew; medians over the rounds, percentiles over"
            " all requests."
        )
    if "training" in parts and training.PHOTOS.is_dir():
        trained = training.compare(shipped, training.PHOTOS, arguments.epochs, folder)
        notes.append(
            "Training: whole commands, from start to end; the tutorial's way may stop"
            f" {100 * training.TOLERANCE:g} points below our accuracy."
        )
    elif "training" in parts:
        notes.append(f"Training was skipped: it needs photos in ../{training.PHOTOS.relative_to(ROOT.parent)}.")
    retrained: Sequence[retraining.Retraining] = ()
    if "retraining" in parts and retraining.PHOTOS.is_dir():
        retrained = _retraining(shipped, folder)
        notes.append(
            "Retraining: whole jobs, from the request to the end; predictions at a constant rate of half of what the"
            " service can do, from the moment that each was due, percentiles as medians over windows of 5 s."
        )
    elif "retraining" in parts:
        notes.append(f"Retraining was skipped: it needs photos in ../{retraining.PHOTOS.relative_to(ROOT.parent)}.")
    return Results(Machine.this(), notes, served, trained, retrained)


def _retraining(shipped: Version, folder: Path) -> list[retraining.Retraining]:
    models = {
        f"version 1, width {shipped.manifest.width:g}": shipped,
        WIDENED: versions.widened(shipped, folder / "widened"),
    }
    uploads = [Upload.of(photo) for photo in photos.photos()]
    return [
        retraining.measure(name, version, uploads, folder / f"retraining-{number}")
        for number, (name, version) in enumerate(models.items())
    ]


def _serving(arguments: Namespace, shipped: Version, folder: Path) -> list[serving.Comparison]:
    models = {
        f"version 1, width {shipped.manifest.width:g}": shipped,
        FULL_WIDTH: versions.random(1.0, folder / "full-width"),
    }
    sent = photos.photos()
    return [
        serving.compare(name, version, sent, arguments.rounds, arguments.seconds, folder)
        for name, version in models.items()
    ]


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m benchmarks", description="Measures side by side with the usual way.")
    # Not `choices`: some versions of argparse hold the empty list against them.
    parser.add_argument("parts", nargs="*", type=_part, default=PARTS, metavar="PART", help=" or ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of serving (default 5)")
    parser.add_argument("--seconds", type=float, default=6, metavar="S", help="of load a round (default 6)")
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="that a tutorial gets at most (default 10)")
    parser.add_argument("--models", type=Path, default=ROOT / "models", metavar="DIR", help="with version 1")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", metavar="DIR")
    return parser


def _part(name: str) -> str:
    if name not in PARTS:
        raise ArgumentTypeError(f"there is no {name}; choose from {', '.join(PARTS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
