"""Labels of up to 100 characters; SQLite accepts any length."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("pictures", "label", type_=sa.String(100), existing_nullable=False)
