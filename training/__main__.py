"""The command line: `python -m training COMMAND`."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from catdog.errors import CatdogError
from training import commands, options, service_commands

KEEP_VERSIONS = 5
STOPPED = 130  # exit status after Ctrl-C, as shells have it


def main() -> int:
    """Run one command; what goes wrong is said in one line, and then the exit status isn't 0."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except (CatdogError, OSError) as error:
        sys.stderr.write(f"catdog: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "\ncatdog: stopped; a training goes on after its last whole epoch if the same command is given --resume\n"
        )
        sys.stdout.flush()
        os._exit(STOPPED)  # at an ordinary exit TensorFlow's threads, still at work, may abort the process
    return 0


def _parser() -> ArgumentParser:
    settings = {**dotenv_values(".env"), **os.environ}  # those that the service reads
    parser = ArgumentParser("python -m training", description="Trains, measures and keeps versions of the model.")
    parser.add_argument("--models", type=Path, metavar="DIR", help="the model store (CATDOG_MODELS_DIR, or models)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="what can be reused (CATDOG_DATA_DIR, or data)")
    parser.set_defaults(
        models=Path(settings.get("CATDOG_MODELS_DIR") or "models"),
        data_dir=Path(settings.get("CATDOG_DATA_DIR") or "data"),
        database_url=settings.get("CATDOG_DATABASE_URL") or None,
    )
    of = parser.add_subparsers(required=True, metavar="COMMAND")

    download = of.add_parser("download", help="fetch the 3,000 photos that TensorFlow's tutorials use")
    download.add_argument("folder", type=Path, metavar="DIR", help="where to; it doesn't exist yet")
    download.add_argument("--sha256", help="that the archive must have")
    download.set_defaults(run=commands.download)

    train = of.add_parser("train", help="train a version on a folder of photos, and put it into service")
    options.add_to(train)
    train.set_defaults(run=commands.train)

    quantize = of.add_parser(
        "quantize", help="publish a version once more, with an int8 graph made from training photos"
    )
    quantize.add_argument("--data", type=Path, required=True, metavar="DIR", help="photos, as for train")
    quantize.add_argument(
        "--promote",
        choices=options.PROMOTE,
        default="auto",
        help="put it into service if it is no worse than the champion on test photos (default), in any case, or never",
    )
    quantize.set_defaults(run=commands.quantize)

    measured = _add_measuring_commands(of)
    for command in (quantize, *measured):
        command.add_argument("--version", type=int, metavar="N", help="default: the champion")

    _add_store_commands(of)
    _add_service_commands(of, settings)
    return parser


def _add_measuring_commands(of: Any) -> tuple[ArgumentParser, ...]:
    """What looks at versions; returns those commands that any version can be given to."""
    evaluate = of.add_parser("evaluate", help="measure a version on a folder of photos")
    evaluate.add_argument("--data", type=Path, required=True, metavar="DIR", help="photos, as for train")
    evaluate.add_argument("--split", help="train, validation or test (default: test, else validation)")
    evaluate.add_argument("--json", action="store_true", help="JSON instead of a table")
    options.add_neither_to(evaluate)
    evaluate.set_defaults(run=commands.evaluate)

    remember = of.add_parser(
        "remember", help="keep features of test photos with the shipped version, to judge others by"
    )
    remember.add_argument("--data", type=Path, required=True, metavar="DIR", help="photos, as for evaluate")
    remember.set_defaults(run=commands.remember)

    familiarize = of.add_parser("familiarize", help="set when the shipped version calls a photo unknown")
    familiarize.add_argument("--data", type=Path, required=True, metavar="DIR", help="photos that it was trained on")
    options.add_neither_to(familiarize)
    familiarize.set_defaults(run=commands.familiarize)

    summary = of.add_parser("summary", help="show the layers of a version's network")
    summary.set_defaults(run=commands.summary)
    return evaluate, summary


def _add_store_commands(of: Any) -> None:
    promote = of.add_parser("promote", help="put a version into service")
    promote.add_argument("version", type=int, metavar="N")
    promote.set_defaults(run=commands.promote)
    of.add_parser("rollback", help="put the champion before this one back").set_defaults(run=commands.rollback)
    of.add_parser("versions", help="list the versions").set_defaults(run=commands.versions)


def _add_service_commands(of: Any, settings: Mapping[str, str | None]) -> None:
    brought = of.add_parser("import", help="take a folder of photos into a data set of the service")
    brought.add_argument("folder", type=Path, metavar="DIR", help="photos, as for train")
    brought.add_argument("--dataset", required=True, metavar="NAME")
    brought.set_defaults(run=service_commands.import_folder)

    doctor = of.add_parser("doctor", help="say what is wrong with photos before they are trained on")
    of_what = doctor.add_mutually_exclusive_group(required=True)
    of_what.add_argument("--data", type=Path, metavar="DIR", help="photos, as for train")
    of_what.add_argument("--dataset", metavar="NAME", help="a data set of the service")
    doctor.add_argument("--json", action="store_true", help="JSON instead of text")
    doctor.set_defaults(run=service_commands.doctor)

    worker = of.add_parser("worker", help="run the trainings that are asked of the service")
    worker.add_argument("--until-idle", action="store_true", help="end when none waits")
    worker.add_argument("--name", help="that others know it by (default: of the machine and process)")
    worker.add_argument(
        "--threads",
        type=options.count,
        default=settings.get("CATDOG_TRAIN_THREADS") or None,
        metavar="N",
        help="cores to take (CATDOG_TRAIN_THREADS, or half of them)",
    )
    worker.add_argument(
        "--keep-versions",
        type=options.count,
        default=settings.get("CATDOG_KEEP_VERSIONS") or str(KEEP_VERSIONS),
        metavar="N",
        help=f"of the newest versions to keep (CATDOG_KEEP_VERSIONS, or {KEEP_VERSIONS})",
    )
    worker.set_defaults(run=service_commands.worker)


if __name__ == "__main__":
    sys.exit(main())
