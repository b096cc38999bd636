"""Copies all rows of one database into an empty one, of either kind."""

from sqlalchemy import Connection, Integer, delete, func, insert, select, text

from catdog.tables import identity, metadata

ROWS = 5_000  # in memory at a time


def copy(source: Connection, target: Connection) -> None:
    """Copy every table, and the identity of the database.

    `target` must be in a writing transaction, and have no rows but its identity.
    """
    target.execute(delete(identity))
    for table in metadata.sorted_tables:
        for rows in source.execute(select(table)).partitions(ROWS):
            target.execute(insert(table), [dict(row._mapping) for row in rows])
    if target.dialect.name == "postgresql":
        _continue_numbers(target)


def count(connection: Connection) -> dict[str, int]:
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
