"""Measure side by side with the usual way: `python -m benchmarks [serving] [training] [retraining]`."""

import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import growth, photos, retraining, serving, serving_notes, systems, training, versions
from benchmarks.client import Upload
from benchmarks.limits import Overhead
from benchmarks.machine import Machine
from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.results import Results
from catdog.errors import CatdogError
from catdog.version import Version

PARTS = ("serving", "training", "retraining")
DEFAULT = ("serving", "training")  # retraining takes as long again as the training
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
    parts, machine, notes = arguments.parts, Machine.this(), list[str]()
    shipped = versions.shipped(arguments.models, folder / "shipped")
    full = versions.widened(shipped, folder / "full-width")
    served: Sequence[serving.Comparison] = ()
    overheads: Sequence[Overhead] = ()
    if "serving" in parts:
        plan = serving.Plan(_uploads(), arguments.rounds, arguments.seconds, folder, systems.our_interpreter())
        served, overheads = serving.compare(serving.cases(shipped, full, machine.has_amx, plan), plan)
        notes += serving_notes.notes(served, plan)
    trained = None
    grown: Sequence[growth.Step] = ()
    if "training" in parts and _has_photos("Training", training.PHOTOS, notes):
        trained = training.compare(shipped, training.PHOTOS, arguments.epochs, folder)
        grown = growth.measure(shipped, folder)
        notes.append(
            "Training: whole commands, from start to end; the tutorial's way may stop"
            f" {100 * training.TOLERANCE:g} points below our accuracy. Growth: the same with"
            f" {growth.VALIDATION} photos to validate with, and one epoch of the tutorial's, which takes several."
        )
    retrained: Sequence[retraining.Retraining] = ()
    if "retraining" in parts and _has_photos("Retraining", retraining.PHOTOS, notes):
        retrained = _retraining(shipped, full, folder)
        notes.append(
            "Retraining: whole jobs, from the request to the end; predictions at a constant rate of half of what the"
            " service can do, from the moment that each was due, percentiles as medians over windows of 5 s."
        )
    return Results(machine, notes, served, overheads, trained, grown, retrained)


def _has_photos(part: str, folder: Path, notes: list[str]) -> bool:
    """Whether the folder is there; else a note says so."""
    if not folder.is_dir():
        notes.append(f"{part} was skipped: it needs photos in ../{folder.relative_to(ROOT.parent)}.")
    return folder.is_dir()


def _retraining(shipped: Version, full: Version, folder: Path) -> list[retraining.Retraining]:
    models = {f"version 1, width {shipped.manifest.width:g}": shipped, WIDENED: full}
    return [
        retraining.measure(name, version, _uploads(), folder / f"retraining-{number}")
        for number, (name, version) in enumerate(models.items())
    ]


def _uploads() -> list[Upload]:
    return [Upload.of(photo) for photo in photos.photos()]


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m benchmarks", description="Measures side by side with the usual way.")
    # Not `choices`: some versions of argparse hold the empty list against them.
    parser.add_argument(
        "parts",
        nargs="*",
        type=_part,
        default=DEFAULT,
        metavar="PART",
        help=f"{', '.join(PARTS)}; {' and '.join(DEFAULT)} by default",
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of serving (default 5)")
    parser.add_argument("--seconds", type=float, default=1.2, metavar="S", help="of each load (default 1.2)")
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
