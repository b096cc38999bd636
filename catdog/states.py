"""Small facts that the processes of a service share: a JSON value by name, in the database."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from catdog.tables import states


def get(connection: Connection, name: str) -> Any:
    """The value, None if there is none."""
    return connection.scalar(select(states.c.value).where(states.c.name == name))


def put(connection: Connection, name: str, value: Any) -> None:
    """Replace the value, in a writing transaction; None removes it."""
    connection.execute(delete(states).where(states.c.name == name))
    if value is not None:
        connection.execute(insert(states).values(name=name, value=value))
