"""The command line of catdog, built with Typer."""

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from catdog import __version__, exit_status
from command import doctor, predict, serve, trainer, versions
from command.classify.command import classify

EXAMPLES = """
Examples:

    catdog predict cat.jpg

    catdog classify ~/Pictures --to pets.csv

    catdog serve

    catdog train --data photos

Exit status: 0 if all went well, 1 if something failed, 2 for a wrong option or a missing library, 130 after Ctrl-C.
"""

program = typer.Typer(
    name="catdog",
    help="Tells cats from dogs in photos, and learns from yours.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def run() -> int:
    """Run the command that was typed, and return the exit status; an error is printed in one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may not be Unicode
    try:
        program(prog_name="catdog")
    except BrokenPipeError:  # as by `| head`, which has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        return _status_of(error)
    return exit_status.DONE


def _status_of(error: Exception) -> int:
    from app.settings import SettingsError  # not earlier: help needs no settings

    if isinstance(error, SettingsError):
        return exit_status.failed(str(error), exit_status.CANNOT_RUN)
    return exit_status.of_error(error)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"catdog {__version__}")
        raise typer.Exit


@program.callback()
def _set(
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the model store (CATDOG_MODELS_DIR).")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of pictures, jobs and features (CATDOG_DATA_DIR).")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version of catdog.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Set the settings that the options before a command name: for this process and those that it starts."""
    for variable, value in (("CATDOG_MODELS_DIR", models), ("CATDOG_DATA_DIR", data_dir)):
        if value is not None:
            os.environ[variable] = str(value)


def _add(command: Callable[..., None], panel: str) -> None:
    program.command(rich_help_panel=panel)(command)


_add(predict.predict, "Photos")
_add(classify, "Photos")
_add(serve.serve, "Service")
_add(doctor.doctor, "Service")
_add(versions.versions, "Versions")
_add(versions.promote, "Versions")
_add(versions.rollback, "Versions")
trainer.add_to(program)
