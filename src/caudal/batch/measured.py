"""The row counts of a step as measurements: rows read, written and quarantined, and the quarantined share."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.batch.step import Step, StepResult
from caudal.declarations.product import Product
from caudal.ledger.measurements import Measurement
from caudal.runtime.run_record import RunRecord


def rows_measured(record: RunRecord, product: Product, step: Step, result: StepResult) -> Iterator[Measurement]:
    """Yield the row counts of a step that judged and wrote rows; nothing for other steps."""
    if result.state != "succeeded" or result.rows_written is None or result.rows_quarantined is None:
        return
    judged = result.rows_written + result.rows_quarantined
    figures: dict[str, tuple[float | None, int | None]] = {
        "rows_read": (result.rows_read, None),
        "rows_written": (result.rows_written, result.rows_read),
        "rows_quarantined": (result.rows_quarantined, judged),
        "quarantined_share": (result.rows_quarantined / judged if judged else None, judged),
    }
    kind, at = "prediction" if step.subject in product.predictions else "table", record.clock()
    for metric, (value, count) in figures.items():
        if value is not None:
            yield Measurement(
                product.name,
                record.run_id,
                at,
                kind,
                step.subject,
                metric,
                float(value),
                count=count,
                version=result.output_version,
            )
