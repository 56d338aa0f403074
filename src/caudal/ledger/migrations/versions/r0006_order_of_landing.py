"""Numbers by which runs and landed contents are ordered, whatever the clock said; what is there is numbered by the times that it has."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_NUMBERED = {"runs": ("run_id", "started_at"), "landed": ("id", "landed_at")}


def upgrade() -> None:
    """Make the table of counters, and number the rows of runs and landed contents."""
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        if_not_exists=True,
    )
    connection = op.get_bind()
    for name, (key, moment) in _NUMBERED.items():
        if "seq" not in {column["name"] for column in sa.inspect(connection).get_columns(name)}:
            op.add_column(name, sa.Column("seq", sa.BigInteger(), nullable=False, server_default="0"))
        table = sa.table(name, sa.column(key), sa.column(moment), sa.column("seq"))
        ordered = sa.select(table.c[key]).order_by(table.c[moment], table.c[key])
        keys = [row[0] for row in connection.execute(ordered)]
        if keys:
            number = sa.update(table).where(table.c[key] == sa.bindparam("row")).values(seq=sa.bindparam("number"))
            connection.execute(number, [{"row": row, "number": place} for place, row in enumerate(keys, start=1)])
        counters = sa.table("counters", sa.column("name"), sa.column("value"))
        connection.execute(sa.delete(counters).where(counters.c.name == name))
        connection.execute(sa.insert(counters).values(name=name, value=len(keys)))
