"""The split that each picture's content draws, so that the database can count pictures by split."""

import sqlalchemy as sa
from alembic import op

from catdog.splits import by_content

revision, down_revision = "0003", "0002"

ROWS = 5_000  # changed by one statement


def upgrade() -> None:
    op.add_column("pictures", sa.Column("drawn", sa.String(10)))
    op.create_index("pictures_by_split", "pictures", ["dataset", "split", "drawn", "label"])
    pictures = sa.table("pictures", sa.column("id"), sa.column("sha256"), sa.column("drawn"))
    undrawn = sa.select(pictures.c.id, pictures.c.sha256).where(pictures.c.drawn.is_(None)).limit(ROWS)
    draw = sa.update(pictures).where(pictures.c.id == sa.bindparam("of")).values(drawn=sa.bindparam("split_drawn"))
    while rows := op.get_bind().execute(undrawn).all():
        op.get_bind().execute(draw, [{"of": row.id, "split_drawn": by_content(row.sha256)} for row in rows])
