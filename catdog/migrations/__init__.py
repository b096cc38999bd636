"""Brings the tables of a database up to date, by Alembic.

Each file in `versions` changes the tables of one revision into those of the next one. New tables are created at once
from `catdog.tables`, and Alembic is only imported if there is something to change, because its import takes a while.
"""

import re
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select

from catdog.errors import DatabaseUnavailable
from catdog.tables import metadata

HEAD: Final = "0015"  # the newest revision

_revision: Final = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def bring_up_to_date(connection: Connection) -> None:
    """Create the tables, or change those of an earlier catdog; DatabaseUnavailable if they are of a newer one."""
    revision = found(connection)
    if revision == HEAD:
        return
    if revision is None:
        metadata.create_all(connection)
        _revision.create(connection)
        connection.execute(insert(_revision).values(version_num=HEAD))
        return
    if not re.fullmatch(r"\d{4}", revision) or revision > HEAD:
        raise DatabaseUnavailable(
            f"a newer catdog made its tables (revision {revision}; this one knows them up to {HEAD}); update catdog, or"
            " use the backup from before its update"
        )
    upgrade(connection, HEAD)


def found(connection: Connection) -> str | None:
    """The revision of the tables; None if there are none."""
    tables = set(inspect(connection).get_table_names())
    if _revision.name in tables:
        return connection.scalar(select(_revision.c.version_num))
    return _unmarked(connection, tables) if "pictures" in tables else None


def upgrade(connection: Connection, to: str) -> None:
    """Run the migrations up to that revision, in the transaction of the connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    if _revision.name not in inspect(connection).get_table_names() and (known := found(connection)) is not None:
        command.stamp(config, known)
    command.upgrade(config, to)


def _unmarked(connection: Connection, tables: set[str]) -> str:
    """The revision of tables from before revisions were marked."""
    if "changes" in tables:
        has_kinds = "kind" in {column["name"] for column in inspect(connection).get_columns("jobs")}
        return "0006" if has_kinds else "0005"
    if "catdog_identity" in tables:
        return "0004"
    columns = {column["name"]: column["type"] for column in inspect(connection).get_columns("pictures")}
    if "drawn" in columns:
        return "0003"
    return "0001" if getattr(columns["label"], "length", None) == 64 else "0002"
