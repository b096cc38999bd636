"""The audit log."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0012", "0010"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("action", sa.String(200), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(8)),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("request", sa.String(36), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Index("audit_by_time", "at"),
        sqlite_autoincrement=True,
    )
