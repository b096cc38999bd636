"""The command line: `python -m training COMMAND`."""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path

from dotenv import dotenv_values

from catdog.errors import CatdogError
from training import commands, options

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
    settings = {**dotenv_values(".env"), **os.environ}  # the same two that the service reads
    parser = ArgumentParser("python -m training", description="Trains, measures and keeps versions of the model.")
    parser.add_argument("--models", type=Path, metavar="DIR", help="the model store (CATDOG_MODELS_DIR, or models)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="what can be reused (CATDOG_DATA_DIR, or data)")
    parser.set_defaults(
        models=Path(settings.get("CATDOG_MODELS_DIR") or "models"),
        data_dir=Path(settings.get("CATDOG_DATA_DIR") or "data"),
    )
    of = parser.add_subparsers(required=True, metavar="COMMAND")

    download = of.add_parser("download", help="fetch the 3,000 photos that TensorFlow's tutorials use")
    download.add_argument("folder", type=Path, metavar="DIR", help="where to; it doesn't exist yet")
    download.add_argument("--sha256", help="that the archive must have")
    download.set_defaults(run=commands.download)

    train = of.add_parser("train", help="train a version on a folder of photos, and put it into service")
    options.add_to(train)
    train.set_defaults(run=commands.train)

    evaluate = of.add_parser("evaluate", help="measure a version on a folder of photos")
    evaluate.add_argument("--data", type=Path, required=True, metavar="DIR", help="photos, as for train")
    evaluate.add_argument("--split", help="train, validation or test (default: test, else validation)")
    evaluate.add_argument("--json", action="store_true", help="JSON instead of a table")
    evaluate.set_defaults(run=commands.evaluate)

    summary = of.add_parser("summary", help="show the layers of a version's network")
    summary.set_defaults(run=commands.summary)
    for command in (evaluate, summary):
        command.add_argument("--version", type=int, metavar="N", help="default: the champion")

    promote = of.add_parser("promote", help="put a version into service")
    promote.add_argument("version", type=int, metavar="N")
    promote.set_defaults(run=commands.promote)
    of.add_parser("rollback", help="put the champion before this one back").set_defaults(run=commands.rollback)
    of.add_parser("versions", help="list the versions").set_defaults(run=commands.versions)
    return parser


if __name__ == "__main__":
    sys.exit(main())
