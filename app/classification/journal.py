"""The journal of a classification: the rows so far, in SQLite, from which a stopped command continues.

It lies next to the result until that is written. A row is there wholly or not at all, and each path once.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from catdog.errors import CatdogError
from catdog.system.failpoints import failpoint

ENDING: Final = ".journal"
COMMIT_SECONDS, COMMIT_ROWS = 1.0, 256  # at most so much work is repeated after a kill
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS about (facts TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS rows (
        id INTEGER PRIMARY KEY,
        path BLOB NOT NULL UNIQUE,
        is_file INTEGER NOT NULL,
        probabilities TEXT,
        is_unknown INTEGER,
        error TEXT,
        destination BLOB UNIQUE
    );
"""


def remove(path: Path) -> None:
    """Delete a closed journal, with the file that SQLite leaves next to it when it was killed before."""
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    path.unlink()


class JournalError(CatdogError):
    """A journal that can't be continued."""


class JournalInUse(JournalError):
    """A journal that another process writes."""


class JournalOfOthers(JournalError):
    """A journal that was begun with another model or other settings than those in use."""


@dataclass(frozen=True)
class Row:
    """The outcome for one input: probabilities in the order of the classes, or an error.

    `is_file` is False for a file in a ZIP.
    """

    path: str
    is_file: bool
    probabilities: Sequence[float] | None = None
    is_unknown: bool = False
    error: str | None = None


class Journal:
    """The journal at `path`; `with` commits and closes it. JournalError if another process uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        self._committed = monotonic()
        self._uncommitted = 0  # rows
        try:
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._connection.execute(statement)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            if "locked" in str(error):
                raise JournalInUse(f"{path} is in use: another catdog writes this result") from error
            raise JournalError(f"{path} is no journal ({error}); remove it to start again") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_empty = self.facts() is None
        self._connection.execute("COMMIT")
        self._connection.close()
        if is_empty:  # an error before the first photo
            remove(self.path)

    def facts(self) -> dict[str, Any] | None:
        """What the classification was begun with; None in a new journal."""
        found = self._connection.execute("SELECT facts FROM about").fetchone()
        return None if found is None else dict(json.loads(found[0]))

    def begin(self, facts: dict[str, Any]) -> None:
        """Record what the classification is begun with."""
        self._connection.execute("INSERT INTO about VALUES (?)", (json.dumps(facts),))
        self.commit()

    def clear(self) -> None:
        """Remove everything, as if it were new."""
        self._connection.execute("DELETE FROM about")
        self._connection.execute("DELETE FROM rows")
        self.commit()

    def has(self, path: str) -> bool:
        return (
            self._connection.execute("SELECT 1 FROM rows WHERE path = ?", (os.fsencode(path),)).fetchone() is not None
        )

    def add(self, row: Row) -> None:
        """Add a row, unless there is one of this path; it is on the disk after COMMIT_SECONDS or COMMIT_ROWS more."""
        probabilities = None if row.probabilities is None else json.dumps(list(row.probabilities))
        self._connection.execute(
            "INSERT OR IGNORE INTO rows (path, is_file, probabilities, is_unknown, error) VALUES (?, ?, ?, ?, ?)",
            (os.fsencode(row.path), row.is_file, probabilities, row.is_unknown, row.error),
        )
        self._uncommitted += 1
        if self._uncommitted >= COMMIT_ROWS or monotonic() - self._committed > COMMIT_SECONDS:
            self.commit()
            failpoint("classify.committed")

    def commit(self) -> None:
        """Bring what was added to the disk."""
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN EXCLUSIVE")
        self._committed, self._uncommitted = monotonic(), 0

    def rows(self) -> Iterator[Row]:
        """Every row, in the order in which they were added."""
        query = "SELECT path, is_file, probabilities, is_unknown, error FROM rows ORDER BY id"
        for path, is_file, probabilities, is_unknown, error in self._connection.execute(query):
            found = None if probabilities is None else json.loads(probabilities)
            yield Row(os.fsdecode(path), bool(is_file), found, bool(is_unknown), error)

    def count(self) -> tuple[int, int]:
        """The number of rows, and of those with an error."""
        rows, errors = self._connection.execute("SELECT count(*), count(error) FROM rows").fetchone()
        return int(rows), int(errors)

    def destination(self, path: str) -> str | None:
        """Where the photo is sorted to, if that has been decided."""
        query = "SELECT destination FROM rows WHERE path = ?"
        (found,) = self._connection.execute(query, (os.fsencode(path),)).fetchone()
        return None if found is None else os.fsdecode(found)

    def is_destination(self, destination: str) -> bool:
        query = "SELECT 1 FROM rows WHERE destination = ?"
        return self._connection.execute(query, (os.fsencode(destination),)).fetchone() is not None

    def set_destination(self, path: str, destination: str) -> None:
        query = "UPDATE rows SET destination = ? WHERE path = ?"
        self._connection.execute(query, (os.fsencode(destination), os.fsencode(path)))
