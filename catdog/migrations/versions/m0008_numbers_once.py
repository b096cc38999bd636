"""SQLite gives no number of a picture or change twice; PostgreSQL never did."""

from alembic import op

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in ("pictures", "changes"):
            # SQLite can't add AUTOINCREMENT to a table, so it is copied.
            with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
                pass
