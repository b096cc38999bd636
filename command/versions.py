"""`catdog versions`, `promote` and `rollback`: the model store."""

import json as encoding
from collections.abc import Iterable
from typing import Annotated

import typer

from command import local_model
from command.audit import record
from command.options import Json


def versions(json: Json = False) -> None:
    """List the versions; a star marks the one in service."""
    from catdog.versions import listing

    local_model.find()
    store = local_model.store()
    _print(listing.lines_of_json(store) if json else listing.text(store))


def promote(
    version: Annotated[int, typer.Argument(min=1, metavar="N", help="The version's number.")], json: Json = False
) -> None:
    """Put a version into service. A running service loads it without a restart."""
    local_model.fill()
    local_model.store().promote(version)
    record("catdog promote", version)
    _report(version, "is in service", json)


def rollback(json: Json = False) -> None:
    """Put the previous champion back into service."""
    local_model.fill()
    version = local_model.store().roll_back()
    record("catdog rollback", version)
    _report(version, "is in service again", json)


def _report(champion: int, outcome: str, json: bool) -> None:
    typer.echo(encoding.dumps({"champion": champion}) if json else f"version {champion} {outcome}")


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)
