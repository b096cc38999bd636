"""Runs migrations on the connection that `catdog.migrations` passes; Alembic runs this file."""

from alembic import context

from catdog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
