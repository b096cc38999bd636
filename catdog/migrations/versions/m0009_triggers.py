"""What triggered a job, facts that processes share, and pictures by time."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("trigger", sa.Text, nullable=False, server_default="request"))
    op.create_table(
        "states", sa.Column("name", sa.String(32), primary_key=True), sa.Column("value", sa.JSON, nullable=False)
    )
    op.create_index("pictures_by_time", "pictures", ["dataset", "added_at"])
