"""The observer that queues alerts about a run in the ledger and sends them; later runs retry failed deliveries."""

from __future__ import annotations

import contextlib

from sqlalchemy.exc import SQLAlchemyError

from caudal.observers.alerts.happen import events_in_run, late_tables, slow_step
from caudal.observers.alerts.outbox import deliver, note
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import RunObserver
from caudal.runtime.workspace import Workspace


class Alerts(RunObserver):
    """Queues the alerts of a run, with its page, and tries to deliver them."""

    order = 50

    def step_slow(self, ws: Workspace, step: str, expected_s: float, limit_s: float) -> None:
        """Queue and send the alert that a step takes longer than usual."""
        note(ws.ledger, ws.product, [slow_step(step, expected_s, limit_s)], ws.run_id, ws.clock())
        with contextlib.suppress(SQLAlchemyError, OSError):  # the end of the run tries again, and reports the error
            deliver(ws.ledger, ws.settings, [ws.product], clock=ws.clock)

    def run_ended(self, ws: Workspace, document: RunDocument) -> None:
        """Queue and send the alerts about the run and about late tables."""
        if not ws.product.alerts:
            return
        events = [*events_in_run(ws.ledger, document), *late_tables(ws.product, ws.home, ws.clock())]
        note(ws.ledger, ws.product, events, ws.run_id, ws.clock(), document.get("page"))
        deliver(ws.ledger, ws.settings, [ws.product], clock=ws.clock)


OBSERVER = Alerts()
