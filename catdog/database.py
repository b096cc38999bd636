"""The database of labels and jobs, shared by service and trainer: SQLite or PostgreSQL.

Times are floats: seconds since 1970, by the clocks of the machines that share the database. Only one transaction writes
at a time: SQLite guarantees that itself, in PostgreSQL an advisory lock does. So what a writing transaction reads stays
true until it ends; this includes files that are only changed within such transactions.
"""

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, Engine, Integer, create_engine, delete, event, func, insert, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from catdog import migrations
from catdog.errors import DatabaseUnavailable
from catdog.tables import identity, metadata, states

FILE: Final = "catdog.sqlite"  # in the data folder
BUSY_SECONDS: Final = 10.0  # how long a transaction in SQLite waits for another one
SLOW_SECONDS: Final = 2.0  # a failure that took longer means that the server doesn't answer
SPARED_SECONDS: Final = 1.0  # after such a failure other requests fail at once for this long
WRITE_LOCK: Final = 0x636174646F67  # PostgreSQL's advisory lock for our writers: "catdog"
COPIED_ROWS: Final = 5_000  # in memory at a time
DISK_FULL: Final = "53100"  # PostgreSQL's code
DAMAGED: Final = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


class Database:
    """A connection pool. Safe to use from several threads.

    The tables are created, or brought up to date, when they are first needed.
    Every use may raise DatabaseUnavailable, or OSError (ENOSPC) if its disk is full.
    """

    def __init__(self, url: str | URL) -> None:
        self._closing = False
        self._spared: tuple[float, str] = 0.0, ""  # until when requests fail without waiting, and why
        self._engine = _engine(url, lambda: self._closing)
        self._ready = False
        self._preparing = Lock()

    @classmethod
    def of(cls, data_dir: Path, url: str | None = None) -> "Database":
        """The database at `url`, else the SQLite file in the data folder."""
        return cls(url or URL.create("sqlite", database=str(data_dir.absolute() / FILE)))

    def identity(self) -> str:
        """A unique id of this database."""
        with self.reading() as connection:
            return str(connection.execute(select(identity.c.id)).scalar_one())

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only transaction."""
        with self._answered():
            self._prepare()
            with self._engine.connect() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A writing transaction, the only one at a time; committed unless an exception is raised in it."""
        with self._answered():
            self._prepare()
            with self._write() as connection:
                yield connection

    @contextmanager
    def _answered(self) -> Iterator[None]:
        self._spare()
        began = monotonic()
        try:
            with _translated():
                yield
        except DatabaseUnavailable as error:
            if monotonic() - began > SLOW_SECONDS:
                self._spared = monotonic() + SPARED_SECONDS, error.reason
            raise

    def _spare(self) -> None:
        """Raise DatabaseUnavailable if a request has just timed out; queued requests would else wait for minutes."""
        until, reason = self._spared
        if monotonic() < until:
            raise DatabaseUnavailable(reason)

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(catdog_writes=True) as connection, connection.begin():
            if self._engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITE_LOCK})
            yield connection

    def _prepare(self) -> None:
        if self._ready:
            return
        with self._preparing:
            self._spare()
            if file := self._engine.url.database if self._engine.dialect.name == "sqlite" else None:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
            with self._write() as connection:
                migrations.bring_up_to_date(connection)
                if connection.scalar(select(identity.c.id)) is None:
                    connection.execute(insert(identity).values(id=uuid4().hex))
            self._ready = True

    def close(self) -> None:
        """Close it; threads that wait for a server get DatabaseUnavailable."""
        self._closing = True
        self._engine.dispose()


def _engine(url: str | URL, is_closing: Callable[[], bool]) -> Engine:
    """Raises DatabaseUnavailable if the URL can't be used."""
    try:
        parsed = _parsed(url)
        if "@" in (parsed.host or ""):  # otherwise a driver error would show a part of the password with the host
            raise ValueError("the user name or password holds an @; write it as %40")
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        if parsed.drivername == "postgresql+psycopg":
            from catdog import postgresql

            return postgresql.engine(parsed, is_closing)
        return create_engine(parsed, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise DatabaseUnavailable(
            f"CATDOG_DATABASE_URL can't be used: {error}; install PostgreSQL's driver with the extra `postgres`"
        ) from error
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise DatabaseUnavailable(f"CATDOG_DATABASE_URL can't be used: {error}") from error


def _parsed(url: str | URL) -> URL:
    """Parse the URL without revealing its port, which may be a password if `@` and the host are missing."""
    try:
        return make_url(url)
    except ValueError:
        raise ValueError("its port is not a number; write driver://user:password@host:port/database") from None


def _set_up_sqlite(connection: Any, record: object) -> None:
    """A rollback journal: in SQLite 3.40 two processes that reset a write-ahead log at once can corrupt it."""
    connection.isolation_level = None  # transactions begin in `_begin_sqlite`, not implicitly by Python
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at the start: two readers that both want to write later would deadlock."""
    writes = connection.get_execution_options().get("catdog_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        original = error.orig
        full = getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        if full or getattr(original, "sqlstate", None) == DISK_FULL:
            raise OSError(errno.ENOSPC, "the database's disk is full; free some space") from error
        raise DatabaseUnavailable(str(original)) from error
    except NoConnectionLeft as error:  # all connections of the pool are in use, waiting for the server
        raise DatabaseUnavailable(str(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated or getattr(error.orig, "sqlite_errorcode", None) in DAMAGED:
            raise DatabaseUnavailable(str(error.orig)) from error
        raise


def state(connection: Connection, name: str) -> Any:
    """A small fact that the processes of a service share, a JSON value; None if there is none."""
    return connection.scalar(select(states.c.value).where(states.c.name == name))


def put_state(connection: Connection, name: str, value: Any) -> None:
    """Replace such a value, in a writing transaction; None removes it."""
    connection.execute(delete(states).where(states.c.name == name))
    if value is not None:
        connection.execute(insert(states).values(name=name, value=value))


def copy_rows(source: Connection, target: Connection) -> None:
    """Copy every table into an empty database, of either kind, and the identity.

    `target` must be in a writing transaction, and have no rows but its identity.
    """
    target.execute(delete(identity))
    for table in metadata.sorted_tables:
        for rows in source.execute(select(table)).partitions(COPIED_ROWS):
            target.execute(insert(table), [dict(row._mapping) for row in rows])
    if target.dialect.name == "postgresql":
        _continue_numbers(target)


def count_rows(connection: Connection) -> dict[str, int]:
    """The number of rows by table."""
    return {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in metadata.sorted_tables
    }


def _continue_numbers(connection: Connection) -> None:
    """Let the sequences of PostgreSQL go on after the copied numbers; SQLite does so itself."""
    for table in metadata.sorted_tables:
        if (column := table.autoincrement_column) is not None and isinstance(column.type, Integer):
            highest = select(func.max(column)).scalar_subquery()
            sequence = func.pg_get_serial_sequence(text(f"'{table.name}'"), text(f"'{column.name}'"))
            connection.execute(select(func.setval(sequence, highest)))
