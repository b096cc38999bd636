"""Records events for webhooks, in the transaction that makes the change which they report.

So an event exists exactly if its change does, and a killed process loses none. The database knows which URLs get
events, because the trainer, which has no settings of webhooks, records some of them.
"""

from collections.abc import Mapping, Sequence
from time import time
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, insert

from catdog.database import put_state, state
from catdog.tables import deliveries
from catdog.webhooks.message import Kind, Status

URLS: Final = "webhook_urls"  # in `states`


def urls(connection: Connection) -> list[str]:
    """The URLs that events are sent to."""
    return list(state(connection, URLS) or ())


def record(connection: Connection, kind: Kind, data: Mapping[str, Any]) -> str:
    """Queue an event for every URL, in a writing transaction; returns its id."""
    event, now = f"evt_{uuid4().hex}", time()
    rows = [
        {
            "event": event,
            "kind": kind,
            "data": dict(data),
            "happened_at": now,
            "url": url,
            "status": Status.WAITING,
            "attempts": 0,
            "queued_at": now,
            "next_at": now,
        }
        for url in urls(connection)
    ]
    if rows:
        connection.execute(insert(deliveries), rows)
    return event


def dataset_changed(connection: Connection, dataset: str, change: str, **details: Any) -> None:
    """Queue the event of a change to a data set: `added`, `created`, `removed`, `undone` or a kind of `Change`."""
    record(connection, Kind.DATASET_CHANGED, {"dataset": dataset, "change": change, **details})


def send_to(connection: Connection, wanted: Sequence[str]) -> None:
    """From now on, send events to these URLs."""
    put_state(connection, URLS, list(wanted) or None)
