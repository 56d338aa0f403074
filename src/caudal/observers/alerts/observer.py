"""Alerts of what happened in a run: written to the ledger, then sent; what did not arrive is tried again by later runs."""

from __future__ import annotations

import contextlib

from sqlalchemy.exc import SQLAlchemyError

from caudal.observers.alerts.happen import in_run, late, slow
from caudal.observers.alerts.outbox import deliver, note
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import ObservedRun, RunObserver


class Alerts(RunObserver):
    """Queues the alerts of a run, with its page, and tries to deliver them."""

    order = 50

    def step_slow(self, run: ObservedRun, step: str, expected_s: float, limit_s: float) -> None:
        """Queue and send that a step takes longer than usual."""
        note(run.record.ledger, run.product, [slow(step, expected_s, limit_s)], run.record.run_id, run.record.clock())
        with contextlib.suppress(SQLAlchemyError, OSError):  # the end of the run tries again, and says what is wrong
            deliver(run.record.ledger, run.settings, [run.product], clock=run.record.clock)

    def run_ended(self, run: ObservedRun, document: RunDocument) -> None:
        """Queue and send what happened in the run, and which tables are late."""
        if not run.product.alerts:
            return
        happened = [*in_run(run.record.ledger, document), *late(run.product, run.tables.home, run.record.clock())]
        note(run.record.ledger, run.product, happened, run.record.run_id, run.record.clock(), document.get("page"))
        deliver(run.record.ledger, run.settings, [run.product], clock=run.record.clock)


OBSERVER = Alerts()
