"""What was kept of addresses before secrets were left out of them: passwords, tokens, and the paths of webhooks."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

from caudal.secret import hide_in_addresses, without_secret_parameters

revision = "0007"
down_revision = "0006"

_SHOWN = {
    "runs": ("error", "summary", "at_hand"),
    "steps": ("detail", "error"),
    "checks": ("message",),
    "decisions": ("reason",),
    "deletions": ("why", "document"),
    "declarations": ("document",),
    "lineage_events": ("event", "error"),
    "manifests": ("document",),
    "events": ("subject", "detail"),
    "alerts": ("document", "error"),
}


def upgrade() -> None:
    """Take the secrets out; alerts that wait find their webhook in the product's declaration."""
    connection = op.get_bind()
    metadata = sa.MetaData()
    metadata.reflect(connection, only=lambda name, _: name in {*_SHOWN, "landed"})
    for name, columns in _SHOWN.items():
        for column in columns:
            if name in metadata.tables and column in metadata.tables[name].c:
                _rewrite(connection, metadata.tables[name], column, _hidden)
    if "landed" in metadata.tables:
        _paths(connection, metadata.tables["landed"])
    if "alerts" in metadata.tables:
        _webhooks(connection, metadata.tables["alerts"])


def _hidden(value: object) -> object:
    if isinstance(value, str):
        return hide_in_addresses(value) if "://" in value else value
    if isinstance(value, dict):
        return {name: _hidden(inside) for name, inside in value.items()}
    return [_hidden(inside) for inside in value] if isinstance(value, list) else value


def _rewrite(connection: sa.Connection, table: sa.Table, name: str, change: Any) -> None:
    keys, column = list(table.primary_key), table.c[name]
    asked = sa.select(*keys, column).where(sa.cast(column, sa.Text).like("%://%"))
    for row in connection.execute(asked).all():
        value = change(row[-1])
        if value != row[-1]:
            mine = [key == row[at] for at, key in enumerate(keys)]
            connection.execute(sa.update(table).where(*mine).values({name: value}))


def _paths(connection: sa.Connection, landed: sa.Table) -> None:
    """Give files of the web the paths that they are known by from now on; of two that become one, the newest counts."""
    asked = sa.select(landed).where(landed.c.path.like("http%://%")).order_by(landed.c.seq.desc())
    rows = connection.execute(asked).mappings().all()
    known = {(row["product"], row["source"], row["path"], row["sha256"]) for row in rows}
    for row in rows:
        before, mark, options = row["path"].partition("?")
        path = before.replace("%40", "@") + without_secret_parameters(mark + options)
        if path == row["path"]:
            continue
        key = (row["product"], row["source"], path, row["sha256"])
        mine = landed.c.id == row["id"]
        connection.execute(sa.delete(landed).where(mine) if key in known else sa.update(landed).where(mine).values(path=path))
        known.add(key)


def _webhooks(connection: sa.Connection, alerts: sa.Table) -> None:
    for row in connection.execute(sa.select(alerts).where(alerts.c.kind == "webhook")).mappings().all():
        url = row["place"].get("url")
        if url:
            parts = urlsplit(url)
            place = {"webhook": hashlib.sha256(f"webhook {url}".encode()).hexdigest(), "secret": row["place"].get("secret")}
            target = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
            connection.execute(sa.update(alerts).where(alerts.c.id == row["id"]).values(place=place, target=target))
