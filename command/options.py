"""Options that several commands share, and those before a command."""

from pathlib import Path
from typing import Annotated

import typer

from catdog import __version__


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"catdog {__version__}")
        raise typer.Exit


Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Models = Annotated[
    str | None, typer.Option(metavar="DIR", help="Folder or URL of the model store (CATDOG_MODELS_DIR).")
]
DataDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of pictures, jobs and features (CATDOG_DATA_DIR).")
]
Version = Annotated[
    bool, typer.Option("--version", help="Print the version of catdog.", callback=_print_version, is_eager=True)
]
