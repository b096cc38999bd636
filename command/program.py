"""The command line of catdog, built with Typer."""

import json as encoding
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper

import typer

from catdog import exit_status
from command import audit, backup, export, import_model, keys, local_model, predict, trainer, versions
from command.classify.command import Classification, classify
from command.options import DataDir, Json, Models, Version, command

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


@program.callback()
def _set(models: Models = None, data_dir: DataDir = None, version: Version = False) -> None:
    """Set the settings that the options before a command name: for this process and its children."""
    for variable, value in (("CATDOG_MODELS_DIR", models), ("CATDOG_DATA_DIR", data_dir)):
        if value is not None:
            os.environ[variable] = str(value)


def _add(run: Callable[..., None], panel: str) -> None:
    program.command(rich_help_panel=panel)(run)


def doctor(json: Json = False) -> None:
    """Check the setup: print which settings, engine and model would be used here, and why."""
    from app import diagnostics
    from app.settings import read_settings

    local_model.find()
    if not json:
        sys.exit(diagnostics.main(read_settings()))
    findings = [finding._asdict() for finding in diagnostics.examine(read_settings())]
    for finding in findings:
        typer.echo(encoding.dumps(finding))
    sys.exit(0 if all(finding["is_well"] for finding in findings) else 1)


_add(predict.predict, "Photos")
_add(command(classify, Classification), "Photos")
_add(local_model.serve, "Service")
_add(doctor, "Service")
_add(backup.backup, "Service")
_add(backup.restore, "Service")
program.add_typer(keys.keys, name="keys", rich_help_panel="Service")
_add(audit.audit, "Service")
_add(versions.versions, "Versions")
_add(versions.promote, "Versions")
_add(versions.rollback, "Versions")
_add(export.export, "Versions")
_add(import_model.import_model, "Versions")
trainer.add_to(program)
