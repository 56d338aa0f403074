"""Alembic's environment script; ``upgrade.py`` passes the connection."""

from __future__ import annotations

from alembic import context

from caudal.ledger.migrations.upgrade import TABLE
from caudal.ledger.records import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=TABLE, compare_type=True
)
with context.begin_transaction():
    context.run_migrations()
