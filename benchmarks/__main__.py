"""Compares catdog with its alternatives: `python -m benchmarks [PART...]`."""

import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from benchmarks.harness import environments, photos, versions
from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import Upload
from benchmarks.harness.processes import ROOT, BenchmarkError
from benchmarks.harness.versions import Model
from benchmarks.report import serving_notes
from benchmarks.report.results import DEFAULT, Results
from benchmarks.serving import comparison
from benchmarks.trainer import growth, retraining, training
from catdog.errors import CatdogError
from catdog.versions.version import Version

PARTS = ("serving", "training", "retraining")
STOPPED = 130  # exit status after Ctrl-C, the same as shells use


def main() -> int:
    """Measure, and write and print the results after each part; exit status 1 if something can't be measured."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))  # so that started processes are ended too
    try:
        with TemporaryDirectory(prefix="catdog-benchmarks-") as folder:
            for results in _measure(arguments, Path(folder)):
                page = results.write(arguments.results, arguments.parts)
                print(f"\n{page.read_text('utf-8')}\nwritten to {page}", flush=True)
    except (BenchmarkError, CatdogError) as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return 1
    except KeyboardInterrupt:
        return STOPPED
    return 0


def _measure(arguments: Namespace, folder: Path) -> Iterator[Results]:
    """The results after each part, so that a long run that is stopped early keeps them."""
    until = monotonic() + 60 * arguments.minutes
    machine = Machine.this()
    shipped = versions.shipped(arguments.models, folder / "shipped")
    slim = versions.slim(folder / "slim")
    results = Results(machine, [])
    if "serving" in arguments.parts:
        plan = comparison.Plan(_uploads(), arguments.rounds, arguments.seconds, folder, environments.for_serving())
        served, overheads = comparison.compare(comparison.cases(slim, shipped, machine.has_amx, plan), plan)
        results = replace(results, served=served, overheads=overheads, notes=[*serving_notes.notes(served, plan)])
        yield results
    if "training" in arguments.parts:
        results = _training(results, shipped.version, arguments.epochs, folder)
        yield results
        if results.trained:
            results = _growth(results, results.trained, shipped.version, until, folder)
            yield results
    if "retraining" in arguments.parts:
        yield _retraining(results, [slim, shipped], folder)


def _training(results: Results, shipped: Version, epochs: int, folder: Path) -> Results:
    if missing := _without_photos("Training", training.PHOTOS):
        return results.noted(missing)
    trained = training.compare(shipped, training.PHOTOS, epochs, folder)
    return replace(results, trained=trained).noted(
        "Training: whole commands, from start to end; the tutorial's way may stop"
        f" {100 * training.TOLERANCE:g} points below our accuracy."
    )


def _growth(results: Results, trained: training.Comparison, shipped: Version, until: float, folder: Path) -> Results:
    found = growth.measure(shipped, folder, trained.seconds_a_photo, until)
    results = replace(results, grown=found.steps)
    if found.steps:
        results = results.noted(
            f"Growth: the same with {growth.VALIDATION} validation photos, and one epoch of the tutorial's way, which"
            " may need several."
        )
    if found.too_long:
        results = results.noted(f"Growth to {found.too_long:,} photos takes longer than --minutes allow: left out.")
    return results


def _retraining(results: Results, models: Sequence[Model], folder: Path) -> Results:
    if missing := _without_photos("Retraining", retraining.PHOTOS):
        return results.noted(missing)
    retrained = [
        retraining.measure(model, _uploads(), folder / f"retraining-{number}") for number, model in enumerate(models)
    ]
    return replace(results, retrained=retrained).noted(
        "Retraining: whole jobs, from the request to the end; predictions at a constant rate of half of what the"
        " service can do, from the moment that each was due, percentiles as medians over windows of 5 s."
    )


def _without_photos(part: str, folder: Path) -> str | None:
    """A note if the part's photos are missing, else None."""
    return None if folder.is_dir() else f"{part} was skipped: it needs photos in ../{folder.relative_to(ROOT.parent)}."


def _uploads() -> list[Upload]:
    return [Upload.of(photo) for photo in photos.photos()]


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m benchmarks", description="Compares catdog with the usual ways.")
    # Not `choices`: some versions of argparse reject the empty list then.
    parser.add_argument(
        "parts",
        nargs="*",
        type=_part,
        default=DEFAULT,
        metavar="PART",
        help=f"{', '.join(PARTS)}; {' and '.join(DEFAULT)} by default",
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of serving (default 5)")
    parser.add_argument("--seconds", type=float, default=1.2, metavar="S", help="duration of each load (default 1.2)")
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="limit for the tutorial (default 10)")
    parser.add_argument(
        "--minutes",
        type=float,
        default=27,
        metavar="M",
        help="limit for everything: growth of training is measured as far as time allows (default 27)",
    )
    parser.add_argument("--models", type=Path, default=ROOT / "models", metavar="DIR", help="store with version 1")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", metavar="DIR")
    return parser


def _part(name: str) -> str:
    if name not in PARTS:
        raise ArgumentTypeError(f"there is no {name}; choose from {', '.join(PARTS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
