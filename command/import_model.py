"""`catdog import-model`: a version from a file of another machine."""

import json as encoding
from pathlib import Path
from typing import Annotated

import typer

from catdog.errors import CatdogError
from command.options import Json


class WrongArchive(CatdogError):
    """The file isn't the one that was expected."""


def import_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `catdog export --format archive` wrote.")],
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="Refuse the file unless it has this sha256, which export printed.")
    ] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Put the version into service.")] = False,
    json: Json = False,
) -> None:
    """Publish a version that was exported elsewhere: catdog import-model catdog-1.zip

    It gets the next number of this store. Everything is checked first: nothing is left of a file that is refused.
    """
    from catdog.system.durable import sha256_of
    from catdog.transfer import archive
    from command import local_model

    local_model.fill()
    store = local_model.store()
    if sha256 is not None and sha256_of(file) != sha256.lower():
        raise WrongArchive(f"{file} has another sha256 than {sha256}; copy it again")
    version = archive.publish(file, store)
    if promote:
        store.promote(version.number)
    if json:
        typer.echo(
            encoding.dumps({"version": version.number, "classes": version.manifest.classes, "promoted": promote})
        )
        return
    service = "is in service" if promote else f"is published; put it into service by: catdog promote {version.number}"
    typer.echo(f"version {version.number} ({', '.join(version.manifest.classes)}) {service}")
