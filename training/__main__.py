"""The command line of the trainer: `python -m training COMMAND`."""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from catdog import __version__, exit_status, faults
from catdog.cluster import AUTOMATIC
from catdog.errors import RecipeError
from catdog.system import location, quiet_import

try:
    from dotenv import dotenv_values

    from training.cli import commands, service_commands, train_arguments
except ImportError as error:  # not even what serving needs is installed
    if (missing := faults.missing_library(error)) is None:
        raise
    sys.exit(exit_status.failed(missing, exit_status.CANNOT_RUN))

KEEP_VERSIONS = 5
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's remarks on its own build aren't for users
quiet_import.hide("tensorflow", quiet_import.TENSORFLOW)
ENV_FILE = ".env"


def main(words: Sequence[str] | None = None, program: str = "python -m training") -> int:
    """Run one command, by default from `sys.argv`, and return the exit status.

    Errors are reported in one line on stderr. `program` is the name that help and usage show.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a file name may not be valid Unicode, and a terminal may not support it
    try:
        arguments = _parser(program).parse_args(words)
        arguments.models = location.located(arguments.models, arguments.data_dir)
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe, for example `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        sys.stderr.write(
            "\ncatdog: stopped; to resume a training after its last complete epoch, repeat the command with --resume\n"
        )
        sys.stdout.flush()
        os._exit(exit_status.STOPPED)  # a normal exit may abort: TensorFlow's threads still run
    except Exception as error:
        return exit_status.of_error(error)
    return exit_status.DONE


def _parser(program: str) -> ArgumentParser:
    settings = {**_env_file(), **os.environ}  # the same ones as the service
    parser = ArgumentParser(program, description="Trains, evaluates and manages versions of the model.")
    parser.add_argument("--version", action="version", version=f"catdog {__version__}")
    parser.add_argument(
        "--models",
        type=_folder_or_url,
        metavar="DIR",
        help="model store, a folder or URL (default: CATDOG_MODELS_DIR, or models)",
    )
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="caches, data sets and jobs (default: CATDOG_DATA_DIR, or data)"
    )
    parser.add_argument(
        "--pictures",
        type=_folder_or_url,
        metavar="DIR",
        help="pictures of data sets, a folder or URL (default: CATDOG_PICTURES, or a folder in the data folder)",
    )
    parser.set_defaults(
        models=settings.get("CATDOG_MODELS_DIR") or "models",  # strings: the type is applied to them
        data_dir=Path(settings.get("CATDOG_DATA_DIR") or "data"),
        pictures=settings.get("CATDOG_PICTURES") or None,
        database_url=settings.get("CATDOG_DATABASE_URL") or None,
        imagenet_weights=Path(given) if (given := settings.get("CATDOG_IMAGENET_WEIGHTS")) else None,
    )
    of = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    _add_trainings(of)
    measured = _add_measuring_commands(of)
    for command in measured:
        command.add_argument("--version", type=train_arguments.version, metavar="N", help="default: the champion")
    _add_store_commands(of)
    _add_service_commands(of, settings)
    return parser


def _folder_or_url(value: str) -> Path | str:
    try:
        return location.parsed(value)
    except ValueError as error:
        raise ArgumentTypeError(f"{value}: {error}") from error


def _add_trainings(of: Any) -> None:
    """Add the commands that publish versions, and the one that downloads photos for them."""
    download = of.add_parser("download", help="download the 3,000 photos that TensorFlow's tutorials use")
    download.add_argument("folder", type=Path, metavar="DIR", help="target folder; must not exist yet")
    download.add_argument("--sha256", help="expected checksum of the archive")
    download.set_defaults(run=commands.download)

    train = of.add_parser("train", help="train a version on a folder of photos and promote it if it passes")
    train_arguments.add_to(train)
    train.set_defaults(run=commands.train)

    compress = of.add_parser("compress", help="train a smaller network to answer like a version, and publish it")
    train_arguments.add_compression_to(compress)
    compress.set_defaults(run=commands.train)

    quantize = of.add_parser(
        "quantize", help="publish a version again with an int8 graph, calibrated on its training photos"
    )
    quantize.add_argument("--data", type=Path, required=True, metavar="DIR", help="photos, as for train")
    quantize.add_argument(
        "--promote",
        choices=train_arguments.PROMOTE,
        default="auto",
        help="auto (default): if it is no worse than the champion on test photos; shadow: then on live photos first;"
        " always; or never",
    )
    quantize.add_argument("--version", type=train_arguments.version, metavar="N", help="default: the champion")
    quantize.set_defaults(run=commands.quantize)


def _env_file() -> Mapping[str, str | None]:
    try:
        return dotenv_values(ENV_FILE)
    except UnicodeDecodeError as error:
        raise RecipeError(f"the file {ENV_FILE} can't be read: {error}; write it in UTF-8") from error


def _add_measuring_commands(of: Any) -> tuple[ArgumentParser, ...]:
    """Add the commands that evaluate versions; returns the ones with the option --version."""
    evaluate = of.add_parser("evaluate", help="evaluate a version on a folder of photos")
    evaluate.add_argument("--data", type=Path, required=True, metavar="DIR", help="photos, as for train")
    evaluate.add_argument("--split", help="train, validation or test (default: test, else validation)")
    evaluate.add_argument(
        "--map",
        dest="renamed",
        type=train_arguments.renamed,
        action="append",
        default=[],
        metavar="FOLDER=CLASS",
        help="maps a folder name to a class, for example cats=cat; may be repeated",
    )
    evaluate.add_argument("--json", action="store_true", help="JSON instead of a table")
    train_arguments.add_neither_to(evaluate)
    evaluate.set_defaults(run=commands.evaluate)

    remember = of.add_parser(
        "remember", help="publish the shipped version with features of test photos, to compare candidates on"
    )
    remember.add_argument("--data", type=Path, required=True, metavar="DIR", help="photos, as for evaluate")
    remember.set_defaults(run=commands.remember)

    familiarize = of.add_parser("familiarize", help="publish the shipped version with a newly fitted unknown threshold")
    familiarize.add_argument("--data", type=Path, required=True, metavar="DIR", help="its training photos")
    train_arguments.add_neither_to(familiarize)
    familiarize.set_defaults(run=commands.familiarize)

    summary = of.add_parser("summary", help="show the layers of a version's network")
    summary.set_defaults(run=commands.summary)
    return evaluate, summary


def _add_store_commands(of: Any) -> None:
    promote = of.add_parser("promote", help="put a version into service")
    promote.add_argument(
        "version",
        type=train_arguments.version_or_archive,
        metavar="N",
        help="its number; or a file of `catdog export --format archive`, which is published as the next version first",
    )
    promote.set_defaults(run=commands.promote)
    of.add_parser("rollback", help="put the previous champion back into service").set_defaults(run=commands.rollback)
    versions = of.add_parser("versions", help="list the versions")
    versions.add_argument("--json", action="store_true", help="print a JSON object for each version")
    versions.set_defaults(run=commands.versions)


def _add_service_commands(of: Any, settings: Mapping[str, str | None]) -> None:
    brought = of.add_parser("import", help="import a folder of photos into a data set of the service")
    brought.add_argument("folder", type=Path, metavar="DIR", help="photos, as for train")
    brought.add_argument("--dataset", required=True, metavar="NAME")
    brought.set_defaults(run=service_commands.import_folder)

    doctor = of.add_parser("check-data", aliases=["doctor"], help="check photos for problems before training")
    of_what = doctor.add_mutually_exclusive_group(required=True)
    of_what.add_argument("--data", type=Path, metavar="DIR", help="photos, as for train")
    of_what.add_argument("--dataset", metavar="NAME", help="a data set of the service")
    doctor.add_argument("--json", action="store_true", help="JSON instead of text")
    doctor.set_defaults(run=service_commands.doctor)

    worker = of.add_parser("worker", help="run the service's trainings and comparisons")
    worker.add_argument("--kind", choices=("training", "comparison"), help="run only these jobs (default: both)")
    worker.add_argument("--until-idle", action="store_true", help="exit when no job is queued")
    worker.add_argument("--end-with-stdin", action="store_true", help="exit when standard input is closed")
    worker.add_argument("--name", help="its name in the job queue (default: machine and process)")
    worker.add_argument(
        "--threads",
        type=train_arguments.count,
        default=settings.get("CATDOG_TRAIN_THREADS") or None,
        metavar="N",
        help="number of cores to use (default: CATDOG_TRAIN_THREADS, or half of them)",
    )
    worker.add_argument(
        "--ray",
        default=_cluster(settings),
        metavar="ADDRESS",
        help="compute features of new photos on this Ray cluster: host:port, or auto for the one that this machine is a"
        " node of (default: CATDOG_RAY_ADDRESS if CATDOG_WORKER is ray, else on this machine)",
    )
    worker.add_argument(
        "--keep-versions",
        type=train_arguments.count,
        default=settings.get("CATDOG_KEEP_VERSIONS") or str(KEEP_VERSIONS),
        metavar="N",
        help=f"number of newest versions to keep (default: CATDOG_KEEP_VERSIONS, or {KEEP_VERSIONS})",
    )
    worker.set_defaults(run=service_commands.worker)


def _cluster(settings: Mapping[str, str | None]) -> str | None:
    return (settings.get("CATDOG_RAY_ADDRESS") or AUTOMATIC) if settings.get("CATDOG_WORKER") == "ray" else None


if __name__ == "__main__":
    sys.exit(main())
