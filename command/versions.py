"""`catdog versions`, `promote` and `rollback`: the model store."""

from collections.abc import Iterable
from typing import Annotated

import typer

from command import model_folder
from command.options import Json


def versions(json: Json = False) -> None:
    """List the versions; a star marks the one in service."""
    from catdog.versions import listing

    model_folder.find()
    store = model_folder.store()
    _print(listing.lines_of_json(store) if json else listing.text(store))


def promote(version: Annotated[int, typer.Argument(min=1, metavar="N", help="The version's number.")]) -> None:
    """Put a version into service. A running service loads it without a restart."""
    model_folder.fill()
    model_folder.store().promote(version)
    typer.echo(f"version {version} is in service")


def rollback() -> None:
    """Put the previous champion back into service."""
    model_folder.fill()
    typer.echo(f"version {model_folder.store().roll_back()} is in service again")


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)
