"""The number of the schema goes: Alembic marks the revision."""

from alembic import op

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    op.drop_table("catdog_schema")
