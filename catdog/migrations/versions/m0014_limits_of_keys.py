"""Limits of named keys."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0014", "0013"


def upgrade() -> None:
    op.add_column("keys", sa.Column("requests_per_second", sa.Float))
    op.add_column("keys", sa.Column("bytes_per_day", sa.BigInteger))
