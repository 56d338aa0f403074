"""A step's rows as measurements: how many a table took in, wrote and set aside in a run, and which share that is."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.batch.step import Step, StepResult
from caudal.declarations.product import Product
from caudal.ledger.measurements import Measurement
from caudal.runtime.run_record import RunRecord


def rows_measured(record: RunRecord, product: Product, step: Step, done: StepResult) -> Iterator[Measurement]:
    """Yield the figures of a step that judged rows and wrote them; other steps have none."""
    if done.state != "succeeded" or done.rows_written is None or done.rows_quarantined is None:
        return
    judged = done.rows_written + done.rows_quarantined
    figures: dict[str, tuple[float | None, int | None]] = {
        "rows_read": (done.rows_read, None),
        "rows_written": (done.rows_written, done.rows_read),
        "rows_quarantined": (done.rows_quarantined, judged),
        "quarantined_share": (done.rows_quarantined / judged if judged else None, judged),
    }
    kind, at = "prediction" if step.subject in product.predictions else "table", record.clock()
    for metric, (value, count) in figures.items():
        if value is not None:
            yield Measurement(
                product.name, record.run_id, at, kind, step.subject, metric, float(value), count=count, version=done.output_version
            )
