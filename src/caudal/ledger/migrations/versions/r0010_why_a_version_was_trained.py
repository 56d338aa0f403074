"""Why a version of a model was trained, by which code, and for which alarms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    if "cause" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("model_versions")}:
        op.add_column("model_versions", sa.Column("cause", sa.JSON(), nullable=True))
