"""The queue of deliveries: events to be sent to URLs.

A process claims deliveries by moving their next attempt into the future. So of many processes one sends each, and if it
is killed, another does so later. A receiver may get an event twice; it recognizes that by the event's id.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from time import time
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from catdog.database import Database
from catdog.errors import DeliveryNotFound, NoWebhook, UrlNotSet
from catdog.tables import deliveries
from catdog.webhooks import champions, outbox
from catdog.webhooks.champions import Champions
from catdog.webhooks.message import Kind, Status

FIRST_SECONDS: Final = 5.0  # between the first attempt and the second one; doubled after each attempt
MOST_SECONDS: Final = 3600.0  # between two attempts
GIVE_UP_HOURS: Final = 72.0
HOUR_SECONDS: Final = 3600.0
DAY_SECONDS: Final = 86_400.0
PROBLEM_CHARACTERS: Final = 300


@dataclass(frozen=True)
class Delivery:
    """An event for one URL; times are seconds since 1970. `problem` is that of the last attempt."""

    id: int
    event: str
    kind: str
    data: dict[str, Any]
    happened_at: float
    url: str
    status: str
    attempts: int  # since it was queued
    queued_at: float  # when it happened or was replayed
    next_at: float | None
    ended_at: float | None
    problem: str | None


class Outcome(NamedTuple):
    """How an attempt ended; without a `problem` the receiver has accepted the event."""

    delivery: Delivery
    problem: str | None = None
    retry_after_seconds: float = 0.0  # as the receiver asked


class Deliveries:
    """The deliveries of one database. Any number of processes may use it at once.

    A delivery fails for good if it isn't accepted within `give_up_hours`. `clock` gives seconds since 1970.
    """

    def __init__(
        self, database: Database, give_up_hours: float = GIVE_UP_HOURS, clock: Callable[[], float] = time
    ) -> None:
        self._database = database
        self._give_up_seconds = give_up_hours * HOUR_SECONDS
        self._clock = clock

    def send_to(self, urls: Sequence[str], read: Callable[[], Champions]) -> None:
        """From now on, send every event to these URLs. `read` returns the champions in the store."""
        wanted = list(dict.fromkeys(urls))
        with self._database.reading() as connection:
            if outbox.urls(connection) == wanted:
                return
        with self._database.writing() as connection:
            if not outbox.urls(connection):
                champions.forget(connection)
            outbox.send_to(connection, wanted)
            champions.record(connection, read)

    def claim(self, url: str, limit: int, seconds: float) -> list[Delivery]:
        """Claim at most `limit` deliveries to the URL that are due, for this many seconds."""
        now = self._clock()
        is_due = and_(deliveries.c.status == Status.WAITING, deliveries.c.next_at <= now, deliveries.c.url == url)
        with self._database.reading() as connection:
            if not _found(connection, is_due, limit=1):
                return []
        with self._database.writing() as connection:
            ids = [delivery.id for delivery in _found(connection, is_due, limit=limit)]
            claimed = {"attempts": deliveries.c.attempts + 1, "next_at": now + seconds}
            connection.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(claimed))
            return _found(connection, deliveries.c.id.in_(ids))

    def note(self, outcomes: Iterable[Outcome]) -> None:
        """Store how the attempts at claimed deliveries ended; one that was claimed again since is left alone."""
        with self._database.writing() as connection:
            for outcome in outcomes:
                delivery = outcome.delivery
                is_mine = and_(deliveries.c.id == delivery.id, deliveries.c.attempts == delivery.attempts)
                is_waiting = deliveries.c.status == Status.WAITING
                connection.execute(update(deliveries).where(is_mine, is_waiting).values(self._after(outcome)))

    def newest(self, limit: int, status: Status | None = None) -> list[Delivery]:
        """At most `limit` deliveries, the newest first; of one status or of all."""
        meant = [] if status is None else [deliveries.c.status == status]
        query = select(deliveries).where(*meant).order_by(deliveries.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [Delivery(**row) for row in connection.execute(query).mappings()]

    def counts(self) -> dict[str, int]:
        """The number of deliveries by status."""
        with self._database.reading() as connection:
            found = connection.execute(select(deliveries.c.status, func.count()).group_by(deliveries.c.status))
            return dict.fromkeys(map(str, Status), 0) | {str(status): count for status, count in found}

    def urls(self) -> list[str]:
        """The URLs that events are sent to."""
        with self._database.reading() as connection:
            return outbox.urls(connection)

    def replay(self, number: int) -> Delivery:
        """Send a delivery again now, delivered or not; DeliveryNotFound, UrlNotSet."""
        now = self._clock()
        again = {"status": Status.WAITING, "attempts": 0, "queued_at": now, "next_at": now, "ended_at": None}
        with self._database.writing() as connection:
            found = _found(connection, deliveries.c.id == number)
            if not found:
                raise DeliveryNotFound(number)
            if found[0].url not in outbox.urls(connection):
                raise UrlNotSet(number)
            connection.execute(update(deliveries).where(deliveries.c.id == number).values(again))
            return _found(connection, deliveries.c.id == number)[0]

    def test(self) -> list[Delivery]:
        """Queue an event without content for every URL; NoWebhook."""
        with self._database.writing() as connection:
            if not outbox.urls(connection):
                raise NoWebhook
            event = outbox.record(connection, Kind.TEST, {})
            return _found(connection, deliveries.c.event == event)

    def prune(self, days: float) -> int:
        """Delete deliveries that ended `days` or more days ago; returns their number.

        Deliveries that wait for a URL that isn't set any more fail once they are old enough.
        """
        now = self._clock()
        is_old = and_(deliveries.c.status == Status.WAITING, deliveries.c.queued_at < now - self._give_up_seconds)
        given_up = {"status": Status.FAILED, "ended_at": now, "next_at": None, "problem": "its URL isn't set any more"}
        with self._database.writing() as connection:
            is_gone = deliveries.c.url.not_in(outbox.urls(connection))
            connection.execute(update(deliveries).where(is_old, is_gone).values(given_up))
            return connection.execute(
                delete(deliveries).where(deliveries.c.ended_at <= now - days * DAY_SECONDS)
            ).rowcount

    def _after(self, outcome: Outcome) -> dict[str, Any]:
        """The new values of a delivery after an attempt."""
        delivery, problem, retry_after_seconds = outcome
        now = self._clock()
        if problem is None:
            return {"status": Status.DELIVERED, "ended_at": now, "next_at": None, "problem": None}
        next_at = now + max(_pause(delivery.attempts), min(retry_after_seconds, MOST_SECONDS))
        said = {"problem": problem[:PROBLEM_CHARACTERS]}
        if next_at > delivery.queued_at + self._give_up_seconds:
            return {**said, "status": Status.FAILED, "ended_at": now, "next_at": None}
        return {**said, "next_at": next_at}


def _pause(attempts: int) -> float:
    """Seconds until the next attempt, with jitter, so that the events that failed together don't return together."""
    longest = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempts - 1, 20))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # nothing secret


def _found(connection: Connection, *conditions: ColumnElement[bool], limit: int | None = None) -> list[Delivery]:
    """The deliveries that meet the conditions, in the order of their turn."""
    columns = (deliveries.c[field.name] for field in fields(Delivery))
    query = select(*columns).where(*conditions).order_by(deliveries.c.next_at, deliveries.c.id).limit(limit)
    return [Delivery(**row) for row in connection.execute(query).mappings()]
