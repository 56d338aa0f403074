"""``join:<name>``: built by Spark where there is no table yet or its declaration changed, and brought up to date by the streams' engine."""

from __future__ import annotations

from caudal.batch.lineage import lineage_document
from caudal.batch.publish import Origin, publish
from caudal.batch.step import StepResult, skipped, waits
from caudal.batch.steps.build import input_versions
from caudal.declarations.join import Join
from caudal.errors import LeaseHeld
from caudal.graph.fingerprint import code_of, digest
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.table_frame import frame_of_join
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.storage.sweep import sweep
from caudal.streaming.join import Joining, given_at
from caudal.streaming.sources import stream_lease
from caudal.tables.added import last_commit_with


def work(ws: Workspace, declared: Join) -> StepResult:
    """Bring a join up to date, unless the product's streams are running, which do so themselves."""
    try:
        with lease(stream_lease(ws.tables.home, ws.product), f"{ws.product.name} (stream)"):
            return (
                _rebuild(ws.record, ws.tables, ws.spark, declared)
                if _must_rebuild(ws.tables, declared)
                else _continue(ws.record, ws.tables, declared)
            )
    except LeaseHeld:
        number = ws.tables.version(declared.name)
        if number is None:
            return waits(f"no row of '{declared.name}' has been published yet; the product's streams are running, and make it")
        return skipped("the product's streams are running", output_version=number)


def _must_rebuild(tables: ProductTables, declared: Join) -> bool:
    commit = last_commit_with(tables.folder(declared.name), "inputs")
    return commit is None or commit[1]["code"] != code_of(declared)


def _rebuild(record: RunRecord, tables: ProductTables, spark: RunSpark, declared: Join) -> StepResult:
    inputs, code = input_versions(tables, declared), code_of(declared)
    nodes = (tables.product.nodes[declared.left], tables.product.nodes[declared.right])
    given_us = given_at(declared, nodes, [tables.folder(name) for name in declared.inputs], inputs)
    sweep(tables.folder(declared.name))
    frames = {name: tables.frame(spark.session, name).alias(name) for name in declared.inputs}
    rows = frame_of_join(tables.product, declared, frames, given_us if declared.within_s is not None else None)
    lineage = lineage_document(rows, frames)
    rows_read = sum(delta.read_version(tables.folder(name), number).rows for name, number in inputs.items())
    origin = Origin(f"join:{declared.name}", code, digest(code, inputs), inputs, rows_read=rows_read)
    return publish(record, tables, spark, declared, rows, origin, "all", {"note": "whole table"}, lineage)


def _continue(record: RunRecord, tables: ProductTables, declared: Join) -> StepResult:
    joining = Joining(tables.product, declared, tables.home, record.run_id, record.clock)
    rows_before = joining.counts["rows"]
    has_new = False
    while joining.step():
        has_new = True
    number = tables.version(declared.name)
    if not has_new:
        return skipped("up to date", output_version=number)
    return StepResult(
        inputs=joining.inputs, output_version=number, rows_written=joining.counts["rows"] - rows_before, rows_quarantined=0
    )


STEPS = {("join", "join"): work}
