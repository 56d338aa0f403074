"""How a version does on the rows that were held out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    if "holdout" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("model_versions")}:
        op.add_column("model_versions", sa.Column("holdout", sa.JSON(), nullable=True))
