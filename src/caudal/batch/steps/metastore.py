"""``register:<table>``: register a table in a Hive metastore, and again when its columns change."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql.types import StructType

from caudal.batch.step import StepResult, skipped
from caudal.batch.steps.warehouse import comments_of
from caudal.graph.fingerprint import digest
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.warehouses.metastore import MetastoreTable, hive_type, register_in_metastore


def register_table(ws: Workspace, table: str) -> StepResult:
    """Register a published table in the metastore of the settings."""
    uri, number = str(ws.settings.metastore), ws.tables.version(table)
    if number is None:
        return skipped(f"'{table}' has not been published yet")
    version = delta.read_version(ws.tables.folder(table), number)
    comment, comments = comments_of(ws.product.nodes.get(table), {})
    location = version.folder.absolute().as_uri() if isinstance(version.folder, Path) else str(version.folder)
    fingerprint = digest("register", uri, location, dict(version.schema), comment, comments)
    last = ws.record.ledger.last_success(ws.product.name, f"register:{table}")
    if last is not None and last["fingerprint"] == fingerprint:
        return skipped("known already", fingerprint=fingerprint)

    fields = StructType.fromJson(dict(version.schema)).fields
    columns = tuple((field.name, hive_type(field.dataType.simpleString())) for field in fields)
    has_changed = register_in_metastore(
        ws.spark.session.sparkContext._jvm, uri, MetastoreTable(ws.product.name, table, location, columns, comment, comments)
    )
    return StepResult(
        fingerprint=fingerprint,
        inputs={table: number},
        detail={"note": "told" if has_changed else "known already", "location": location},
    )
