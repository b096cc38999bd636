"""Records promotions and rollbacks, which change a file, as events in the database.

The database holds the list of champions up to which events were recorded. A change by the service or a trainer compares
before and after it, in a transaction that stores the new list too. What is in the file but not in the database, because
a process was killed between the two, or because the command line changed it, is found by the next comparison.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy import Connection

from catdog.database import Database, put_state, state
from catdog.errors import StoreError
from catdog.webhooks import outbox
from catdog.webhooks.message import Kind

NAME: Final = "champions"  # in `states`

Champions = tuple[int, ...]  # the version in service, then the previous ones, the newest first


class Step(NamedTuple):
    """One change of the champion."""

    kind: Kind
    version: int
    previous: int | None  # None if there was none


@contextmanager
def recorded(connection: Connection, read: Callable[[], Champions]) -> Iterator[None]:
    """In a writing transaction: record the change that the block makes to what `read` returns, and earlier ones."""
    record(connection, read)
    yield
    record(connection, read)


def catch_up(database: Database, read: Callable[[], Champions]) -> None:
    """Record what isn't recorded yet."""
    with database.reading() as connection:
        if state(connection, NAME) == list(read()) or not outbox.urls(connection):
            return
    with database.writing() as connection:
        record(connection, read)


def record(connection: Connection, read: Callable[[], Champions]) -> None:
    """Queue the events of all changes since the last call, in a writing transaction; the first call queues none.

    Without a URL nothing is read. A list that can't be read stops no training and no promotion: it is compared later.
    """
    if not outbox.urls(connection):
        return
    try:
        now = read()
    except StoreError:
        return
    before = state(connection, NAME)
    if before == list(now):
        return
    for step in steps(now if before is None else before, now):
        outbox.record(connection, step.kind, {"version": step.version, "previous": step.previous})
    put_state(connection, NAME, list(now))


def forget(connection: Connection) -> None:
    """Record no change from before the next call of `record`."""
    put_state(connection, NAME, None)


def steps(before: Sequence[int], now: Sequence[int]) -> list[Step]:
    """The fewest changes that lead from one list to the other: at most one rollback, then promotions.

    A promotion puts a version first, and the oldest entry may be dropped then; a rollback removes the first entries.
    """
    undone, made = next(
        (undone, made)
        for undone in range(len(before) + 1)
        for made in range(len(now) + 1)
        if _agree(before[undone:], now[made:], made)
    )
    if now and 0 < len(before) == undone:  # nothing in common: the file was edited, or the shipped version is back
        kind = Kind.VERSION_ROLLED_BACK if len(now) == 1 else Kind.VERSION_PROMOTED
        return [Step(kind, now[0], before[0])]
    found = [Step(Kind.VERSION_ROLLED_BACK, before[undone], before[0])] if 0 < undone < len(before) else []
    earlier = [*now[1:], None]
    return found + [Step(Kind.VERSION_PROMOTED, now[place], earlier[place]) for place in reversed(range(made))]


def _agree(before: Sequence[int], now: Sequence[int], may_miss: int) -> bool:
    """Whether both are equal, except that this many of the oldest may be missing in the second."""
    if not now:
        return not before
    return 0 <= len(before) - len(now) <= may_miss and list(before[: len(now)]) == list(now)
