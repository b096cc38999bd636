"""The audit log in the database: entries are added, and deleted once they are old, but never changed."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from time import time
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from catdog.audit.change import Change, current, note
from catdog.database import Database
from catdog.tables import audit

DAY_SECONDS: Final = 86_400.0
PAGE: Final = 1000  # entries read at a time


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `at` is in seconds since 1970; `status` is None if no request caused it."""

    id: int
    at: float
    action: str
    key: str
    key_id: str | None
    address: str
    request: str
    status: int | None
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: the ones that match every argument. Times are seconds since 1970; `action` is a part of it."""

    since: float | None = None
    until: float | None = None
    key: str | None = None
    action: str | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        if self.since is not None:
            yield audit.c.at >= self.since
        if self.until is not None:
            yield audit.c.at < self.until
        if self.key is not None:
            yield audit.c.key == self.key
        if self.action is not None:
            yield audit.c.action.contains(self.action, autoescape=True)


EVERYTHING: Final = Wanted()


def record(connection: Connection, **details: Any) -> None:
    """Add an entry for the current change, if there is one, in the transaction that makes it."""
    if change := current():
        note(**details)
        insert_entry(connection, change)
        change.is_recorded = True


def insert_entry(connection: Connection, change: Change) -> None:
    values = {field.name: getattr(change, field.name) for field in fields(Entry) if field.name not in ("id", "at")}
    at = round(time(), 6)  # exactly what a datetime holds, so that a filter by it finds the entry
    connection.execute(insert(audit).values(at=at, **values))


class AuditLog:
    """The audit log of one database. Any number of processes may use it at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, change: Change) -> None:
        """Add an entry in a transaction of its own, for what isn't changed in the database."""
        with self._database.writing() as connection:
            insert_entry(connection, change)

    def page(self, wanted: Wanted = EVERYTHING, after: int | None = None, limit: int = PAGE) -> list[Entry]:
        """At most `limit` entries, the newest first; with `after` only older ones than the one of that id."""
        query = select(*(audit.c[field.name] for field in fields(Entry))).where(*wanted.conditions())
        if after is not None:
            query = query.where(audit.c.id < after)
        with self._database.reading() as connection:
            return [Entry(*row) for row in connection.execute(query.order_by(audit.c.id.desc()).limit(limit))]

    def pages(self, wanted: Wanted = EVERYTHING) -> Iterator[list[Entry]]:
        """All of them, the newest first."""
        after = None
        while page := self.page(wanted, after):
            yield page
            after = page[-1].id

    def forget(self, days: float) -> int:
        """Delete entries that are `days` or more days old, and return their number; 0 keeps all."""
        if not days:
            return 0
        with self._database.writing() as connection:
            return connection.execute(delete(audit).where(audit.c.at <= time() - days * DAY_SECONDS)).rowcount
