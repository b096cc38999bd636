"""`catdog backup` and `restore`: all that a service knows, in one folder."""

import json as encoding
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from command.options import Json

if TYPE_CHECKING:
    from app.settings import Settings
    from catdog.database import Database
    from catdog.transfer.backup import Contents


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write; must not exist yet.")],
    json: Json = False,
) -> None:
    """Copy versions, pictures, labels and jobs of a service, which may be running: catdog backup /mnt/monday"""
    from catdog.transfer.backup import backup
    from catdog.versions.store import Store
    from command import local_model

    local_model.find()
    with _opened() as (settings, database):
        made = backup(Store(settings.models), database, settings.data_dir, folder, settings.pictures)
    _report(made, folder, "is backed up", json)


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `catdog backup` wrote.")],
    json: Json = False,
) -> None:
    """Bring a backup to an empty model store and data folder, before the service starts: catdog restore /mnt/monday"""
    from catdog.transfer.restore import restore
    from catdog.versions.store import Store

    with _opened() as (settings, database):
        made = restore(folder, Store(settings.models), database, settings.data_dir, settings.pictures)
    _report(made, folder, "is restored", json)


@contextmanager
def _opened() -> "Iterator[tuple[Settings, Database]]":
    from app.settings import read_settings
    from catdog.database import Database

    settings = read_settings()
    database = Database.of(settings.data_dir, settings.database_url)
    try:
        yield settings, database
    finally:
        database.close()


def _report(contents: "Contents", folder: Path, outcome: str, json: bool) -> None:
    if json:
        typer.echo(encoding.dumps({"path": str(folder)} | asdict(contents)))
        return
    typer.echo(
        f"{folder} {outcome}: {len(contents.versions)} versions, {contents.pictures:,} pictures, "
        f"{contents.rows['pictures']:,} labels, {contents.rows['jobs']:,} jobs"
    )
    if contents.missing:
        typer.echo(f"catdog: {len(contents.missing):,} pictures had no file any more", err=True)
