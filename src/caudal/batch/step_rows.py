"""Write what a step did to the ledger: its row, checks, profile, lineage and figures, in one transaction.

A run writes a row for each step. A stream does its steps again with each micro-batch: its rows are those of a minute, in which the
micro-batches of that minute are added up, so that a day leaves as many rows as a run each minute would (ADR 49).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select

from caudal.batch.measured import rows_measured
from caudal.batch.step import State, Step, StepResult
from caudal.declarations.product import Product
from caudal.ledger.measurements import write_measurements
from caudal.ledger.minutes import MINUTE_S, is_of_minute, sum_checks, sum_steps
from caudal.ledger.records import checks, lineages, measurements, profiles, steps
from caudal.ledger.rows import ExpectationDocument, StepDetail
from caudal.runtime.run_record import RunRecord


def write_step(
    record: RunRecord, product: Product, step: Step, state: State, result: StepResult | None, *, seconds: float = 0.0, began: float | None = None,
    error: dict[str, object] | None = None, detail: StepDetail | None = None, broken: Sequence[ExpectationDocument] = (),
) -> None:  # fmt: skip
    """Write a step's row, checks, profile, lineage and figures to the ledger in one transaction."""
    row: dict[str, Any] = {
        "run_id": record.run_id, "product": product.name, "step": step.name, "kind": step.kind, "name": step.subject, "state": state,
        "started_at": began, "finished_at": record.clock(), "seconds": round(seconds, 4), "error": error, "detail": detail,
    }  # fmt: skip
    if result is not None:
        row |= {
            "fingerprint": result.fingerprint, "inputs": dict(result.inputs), "output_version": result.output_version, "rows_read": result.rows_read,
            "rows_written": result.rows_written, "rows_quarantined": result.rows_quarantined, "partitions": result.partitions,
            "detail": dict(result.detail),
        }  # fmt: skip
    of_table = {"run_id": record.run_id, "product": product.name, "table": step.subject}
    check_documents = broken if result is None else result.checks if result.state == "succeeded" else ()
    lineage = None if result is None or result.state != "succeeded" else result.lineage
    if lineage is not None:
        stored_lineages = record.ledger.find(lineages, product=product.name, table=step.subject, newest=True, limit=1)
        lineage = None if stored_lineages and stored_lineages[0]["document"] == lineage else lineage
    with record.ledger.engine.begin() as connection:
        if record.micro_batch is not None:
            if (with_minute := _with_minute(connection, row)) is None:
                return
            row = with_minute
            check_documents = _with_earlier_checks(connection, of_table, check_documents)
            if result is not None and result.profile is not None:  # the ledger keeps the stream's newest
                _delete(connection, profiles, of_table)
        connection.execute(insert(steps).values(row))
        if result is not None:
            _write_figures(connection, record, product, step, row, result)
        if result is not None and lineage is not None:
            connection.execute(insert(lineages).values({**of_table, "version": result.output_version, "document": dict(lineage)}))
        if check_documents:
            connection.execute(insert(checks), [{**of_table, **check_document} for check_document in check_documents])
        if result is not None and result.state == "succeeded" and result.profile is not None:
            connection.execute(insert(profiles).values({**of_table, "version": result.output_version, **result.profile}))


def _with_minute(connection: Connection, row: dict[str, Any]) -> dict[str, Any] | None:
    """Return the row with what the same step did before in its minute, in the place of that earlier row; None for a step that had nothing to do again."""
    column, idle = steps.c, row["state"] in ("skipped", "waiting")
    row = {**row, "detail": {**(row["detail"] or {}), "micro_batches": 0 if idle else 1}}
    query = select(steps).where(column.run_id == row["run_id"], column.step == row["step"]).order_by(column.id.desc()).limit(1)
    earlier = connection.execute(query).mappings().first()
    if earlier is None:
        return row
    if idle:
        return None
    if not is_of_minute(earlier, row["finished_at"]):
        return row
    connection.execute(delete(steps).where(column.id == earlier["id"]))  # the newest row of a step is the one that counts
    return sum_steps({name: value for name, value in earlier.items() if name != "id"}, row)


def _with_earlier_checks(
    connection: Connection, of_table: dict[str, str], documents: Sequence[ExpectationDocument]
) -> Sequence[ExpectationDocument]:
    """Return what expectations have counted since the stream began; its earlier rows are deleted."""
    if not documents:
        return documents
    query = select(checks).where(*(checks.c[name] == value for name, value in of_table.items()))
    earlier = [dict(row) for row in connection.execute(query).mappings()]
    _delete(connection, checks, of_table)
    return sum_checks(earlier, documents)


def _write_figures(
    connection: Connection, record: RunRecord, product: Product, step: Step, row: dict[str, Any], result: StepResult
) -> None:
    """Write the row counts of a step as measurements; those of the minute of a stream in the place of its earlier ones."""
    if record.micro_batch is not None and row["state"] == "succeeded":
        result = replace(
            result, rows_read=row["rows_read"], rows_written=row["rows_written"], rows_quarantined=row["rows_quarantined"]
        )
    measured = list(rows_measured(record, product, step, result))
    if measured and record.micro_batch is not None:
        column, minute = measurements.c, row["finished_at"] // MINUTE_S * MINUTE_S
        metrics = [measurement.metric for measurement in measured]
        connection.execute(
            delete(measurements).where(
                column.run_id == record.run_id, column.subject == step.subject, column.metric.in_(metrics), column.at >= minute
            )
        )
    write_measurements(connection, measured)


def _delete(connection: Connection, table: Table, equal: dict[str, str]) -> None:
    connection.execute(delete(table).where(*(table.c[name] == value for name, value in equal.items())))
