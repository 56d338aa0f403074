"""Whether a version of a model is served by arrays, and why not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column."""
    if "compiled" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("model_versions")}:
        op.add_column("model_versions", sa.Column("compiled", sa.JSON(), nullable=True))
