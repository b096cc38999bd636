"""Pictures that are being removed from a bucket."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0015", "0014"


def upgrade() -> None:
    op.create_table(
        "removals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("is_done", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_removals_sha256", "removals", ["sha256"])
