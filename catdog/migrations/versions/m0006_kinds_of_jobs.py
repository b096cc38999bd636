"""Jobs of several kinds; those from before are trainings."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("kind", sa.String(10), nullable=False, server_default="training"))
