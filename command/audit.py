"""`catdog audit`: prints who changed what."""

import json as encoding
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from catdog.audit.change import COMMAND_LINE, Change
from catdog.errors import DatabaseUnavailable
from command.options import Json

if TYPE_CHECKING:
    from catdog.audit.log import Entry


def audit(
    key: Annotated[str | None, typer.Option(help="Only what was done with the key of this name.")] = None,
    action: Annotated[str | None, typer.Option(help="Only actions with this text, such as promote.")] = None,
    days: Annotated[float | None, typer.Option(min=0.001, help="Only the last days.")] = None,
    json: Json = False,
) -> None:
    """Print who changed what, when, from where and with which key, the newest first: catdog audit --action promote"""
    from app.settings import read_settings
    from catdog.audit.log import AuditLog, Wanted
    from catdog.database import Database

    settings = read_settings()
    since = None if days is None else (datetime.now(UTC) - timedelta(days=days)).timestamp()
    with closing(Database.of(settings.data_dir, settings.database_url)) as database:
        for page in AuditLog(database).pages(Wanted(since, key=key, action=action)):
            for entry in page:
                typer.echo(_described(entry) if json else _line(entry))


def record(action: str, version: int) -> None:
    """Add an entry about a version to the audit log, after the change; nothing if the service has no database yet."""
    from app.settings import read_settings
    from catdog.audit.log import AuditLog
    from catdog.database import FILE, Database

    settings = read_settings()
    if settings.database_url is None and not (settings.data_dir / FILE).exists():
        return
    try:
        with closing(Database.of(settings.data_dir, settings.database_url)) as database:
            AuditLog(database).add(Change(action, COMMAND_LINE, details={"version": version}))
    except (DatabaseUnavailable, OSError) as error:
        sys.stderr.write(f"catdog: the audit log lacks an entry: {getattr(error, 'reason', error)}\n")


def _described(entry: "Entry") -> str:
    """As `GET /audit` describes it."""
    from app.access.audit_schemas import AuditEntry

    return AuditEntry.of(entry).model_dump_json()


def _line(entry: "Entry") -> str:
    at = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="seconds")
    status = "" if entry.status is None else f" {entry.status}"
    details = encoding.dumps(entry.details) if entry.details else ""
    return f"{at}  {entry.key or 'no key':<20} {entry.address:<15} {entry.action}{status}  {details}".rstrip()
