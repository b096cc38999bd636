"""`catdog keys`: creates, lists, limits, rotates and revokes the named keys of a service."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from catdog.access.roles import LIMIT_BYTES, LIMIT_DAYS, LIMIT_OVERLAP_HOURS, LIMIT_REQUESTS, Limits, Role
from catdog.audit.change import COMMAND_LINE, Change, begin
from command.options import Json

if TYPE_CHECKING:
    from catdog.access.keys import Key, Keys, NewKey

keys = typer.Typer(help="Create, list, limit, rotate and revoke named keys of a service.", no_args_is_help=True)


@keys.callback()
def _begin(context: typer.Context) -> None:
    """What the command changes is recorded in the audit log."""
    begin(Change(f"catdog keys {context.invoked_subcommand}", COMMAND_LINE))


Name = Annotated[str, typer.Argument(metavar="NAME", help="Who or what uses the key.")]
Requests = Annotated[
    float | None, typer.Option(min=0.0001, max=LIMIT_REQUESTS, help="Requests a second that it may send.")
]
Bytes = Annotated[
    int | None, typer.Option(min=1, max=LIMIT_BYTES, help="Bytes of request bodies that it may send in 24 hours.")
]


@keys.command()
def create(
    name: Name,
    role: Annotated[Role, typer.Option(help="What it may do; each role may do all that the ones before it may.")],
    expires_days: Annotated[
        float | None, typer.Option(min=0.001, max=LIMIT_DAYS, help="Days until it expires.")
    ] = None,
    requests_per_second: Requests = None,
    bytes_per_day: Bytes = None,
    json: Json = False,
) -> None:
    """Create a key and print it, once: catdog keys create door-camera --role predict --expires-days 90"""
    with _opened() as stored:
        _show(stored.create(name, role, expires_days, Limits(requests_per_second, bytes_per_day)), json)


@keys.command("list")
def listed(json: Json = False) -> None:
    """List all keys, also expired and revoked ones, without their secrets."""
    with _opened() as stored:
        found = stored.all()
    for key in found:
        typer.echo(_described(key) if json else _line(key))


@keys.command()
def rotate(
    name: Name,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=LIMIT_OVERLAP_HOURS, help="Hours that the old key stays valid.")
    ] = 0,
    json: Json = False,
) -> None:
    """Replace a key by a new one of the same name, role and lifetime, and print it, once."""
    with _opened() as stored:
        _show(stored.rotate(name, overlap_hours), json)


@keys.command()
def limit(name: Name, requests_per_second: Requests = None, bytes_per_day: Bytes = None, json: Json = False) -> None:
    """Replace the limits of a key; without an option it has those of the service's settings."""
    with _opened() as stored:
        limited = stored.limit(name, Limits(requests_per_second, bytes_per_day))
    for key in limited:
        typer.echo(_described(key) if json else _line(key))


@keys.command()
def revoke(name: Name, json: Json = False) -> None:
    """Revoke a key, and the ones that it replaced; running services refuse them within 5 seconds."""
    with _opened() as stored:
        revoked = stored.revoke(name)
    for key in revoked:
        typer.echo(_described(key) if json else f"key {key.id} ({key.name}) is revoked")


@contextmanager
def _opened() -> "Iterator[Keys]":
    from app.settings import read_settings
    from catdog.access.keys import Keys
    from catdog.database import Database

    settings = read_settings()
    database = Database.of(settings.data_dir, settings.database_url)
    try:
        yield Keys(database)
    finally:
        database.close()


def _show(made: "NewKey", json: bool) -> None:
    """The key alone on stdout, so that a shell can store it."""
    if json:
        from app.access.key_schemas import CreatedKey

        typer.echo(CreatedKey.made(made).model_dump_json())
        return
    sys.stderr.write(f"catdog: this is the key of {made.key.name}; it isn't shown again\n")
    typer.echo(made.secret)


def _described(key: "Key") -> str:
    """As `GET /keys` describes it."""
    from app.access.key_schemas import NamedKey

    return NamedKey.of(key).model_dump_json()


def _line(key: "Key") -> str:
    expires = "" if key.expires_at is None else f"  expires {_iso(key.expires_at)}"
    used = "never used" if key.used_at is None else f"used {_iso(key.used_at)}"
    requests = "" if key.requests_per_second is None else f"  {key.requests_per_second:g} requests/s"
    sent = "" if key.bytes_per_day is None else f"  {key.bytes_per_day:,} bytes/day"
    return f"{key.id}  {key.name:<20} {key.role:<8} {key.state:<8} {used}{expires}{requests}{sent}"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
