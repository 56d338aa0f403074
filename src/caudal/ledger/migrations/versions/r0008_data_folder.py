"""The data folder that a landed file's path lies below."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    if "base" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("landed")}:
        op.add_column("landed", sa.Column("base", sa.Text(), nullable=True))
