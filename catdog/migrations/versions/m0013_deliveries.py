"""Events for webhooks."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0013", "0012"


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("happened_at", sa.Float, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("queued_at", sa.Float, nullable=False),
        sa.Column("next_at", sa.Float),
        sa.Column("ended_at", sa.Float),
        sa.Column("problem", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_by_turn", "deliveries", ["status", "next_at"])
