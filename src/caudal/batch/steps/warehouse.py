"""``publish:<name>``: publish a table to a warehouse; without a change no connection is made."""

from __future__ import annotations

from collections.abc import Mapping

from caudal.batch.step import StepResult, skipped, up_to_date
from caudal.declarations.node import Node
from caudal.declarations.warehouse import Publication
from caudal.extras import require
from caudal.graph.fingerprint import code_of, digest
from caudal.graph.registered import kind_of
from caudal.ledger.rows import StepDetail
from caudal.runtime.workspace import Workspace
from caudal.secret import shown
from caudal.storage import delta
from caudal.warehouses.target import Target, warehouse_columns


def work(ws: Workspace, publication: Publication) -> StepResult:
    """Publish the newest version of a table to the warehouse."""
    url = publication.to.url(ws.settings.warehouse)
    if url is None:
        return skipped("no warehouse is set (CAUDAL_WAREHOUSE)")
    number = ws.tables.version(publication.of)
    if number is None:
        return skipped(f"'{publication.of}' has not been published yet")
    inputs = {publication.of: number}
    comment, comments = comments_of(ws.product.nodes.get(publication.of), publication.comments)
    fingerprint = digest(code_of(publication), comment, comments, shown(url), inputs)
    last_row = ws.record.ledger.last_success(ws.product.name, f"publish:{publication.name}")
    if (current := up_to_date(last_row, fingerprint, inputs, number)) is not None:
        return current
    require("psycopg", extra="postgres", for_="PostgreSQL")
    from caudal.warehouses.connect import connected
    from caudal.warehouses.swap import publish_table

    version = delta.read_version(ws.tables.folder(publication.of), number)
    target = Target(
        publication.schema, publication.name, warehouse_columns(version, publication.columns, comments, publication.place), publication.key,
        publication.indexes, comment, publication.grant, delta.DAY if version.partitioned else None,
    )  # fmt: skip
    with connected(url, ws.product.tz) as connection:
        ws.record.check_claim()
        outcome = publish_table(connection, target, version, ws.product.name, publication.of, ws.record.run_id)
    detail: StepDetail = {"note": outcome.note}
    if outcome.zeros:
        detail["zeros"] = dict(outcome.zeros)
    detail["place"] = target.place
    return StepResult(
        fingerprint=fingerprint, inputs=inputs, output_version=number, rows_read=outcome.rows, rows_written=outcome.rows,
        partitions=None if outcome.days is None else [day or "unknown" for day in outcome.days],
        detail=detail,
    )  # fmt: skip


def comments_of(node: Node | None, comments: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """Return the comment of a table and those of its columns: descriptions, units, and further comments."""
    comments_by_column: dict[str, str] = {}
    for field in node.schema if node is not None and node.schema is not None else ():
        text = field.description or field.label
        unit = f"[{field.unit}]" if field.unit else None
        if text or unit:
            comments_by_column[field.name] = " ".join(part for part in (text, unit) if part)
    return None if node is None else kind_of(node).comment(node), {**comments_by_column, **comments}


STEPS = {("publication", "publish"): work}
