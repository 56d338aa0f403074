"""Alerts of what happened in a run: written to the ledger, then sent; what did not arrive is tried again by later runs."""

from __future__ import annotations

import contextlib

from sqlalchemy.exc import SQLAlchemyError

from caudal.observers.alerts.happen import in_run, late, slow
from caudal.observers.alerts.outbox import deliver, note
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import RunObserver
from caudal.runtime.workspace import Workspace


class Alerts(RunObserver):
    """Queues the alerts of a run, with its page, and tries to deliver them."""

    order = 50

    def step_slow(self, ws: Workspace, step: str, expected_s: float, limit_s: float) -> None:
        """Queue and send that a step takes longer than usual."""
        note(ws.ledger, ws.product, [slow(step, expected_s, limit_s)], ws.run_id, ws.clock())
        with contextlib.suppress(SQLAlchemyError, OSError):  # the end of the run tries again, and says what is wrong
            deliver(ws.ledger, ws.settings, [ws.product], clock=ws.clock)

    def run_ended(self, ws: Workspace, document: RunDocument) -> None:
        """Queue and send what happened in the run, and which tables are late."""
        if not ws.product.alerts:
            return
        happened = [*in_run(ws.ledger, document), *late(ws.product, ws.home, ws.clock())]
        note(ws.ledger, ws.product, happened, ws.run_id, ws.clock(), document.get("page"))
        deliver(ws.ledger, ws.settings, [ws.product], clock=ws.clock)


OBSERVER = Alerts()
