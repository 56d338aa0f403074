"""How a version is tried beside the one in production: the share of keys that it answers, and what the keys are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column."""
    if "trial" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("decisions")}:
        op.add_column("decisions", sa.Column("trial", sa.JSON(), nullable=True))
