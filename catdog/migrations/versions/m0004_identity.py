"""The id of the database, so that a folder's pictures aren't removed for want of a row in another one."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    identity = op.create_table("catdog_identity", sa.Column("id", sa.String(32), primary_key=True))
    op.bulk_insert(identity, [{"id": uuid4().hex}])
