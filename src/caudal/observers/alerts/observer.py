"""The observer that queues alerts about a run in the ledger and sends them; later runs retry failed deliveries."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from caudal.ledger.rows import AlarmDocument
from caudal.observers.alerts.happen import AlertEvent, drift_event, events_in_run, late_tables, slow_step
from caudal.observers.alerts.outbox import deliver_alerts, queue_alerts
from caudal.observers.alerts.service_levels import service_level_events
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import ObservedRun, RunObserver


class Alerts(RunObserver):
    """Queues the alerts of a run, with its page, and tries to deliver them."""

    order = 50

    def step_slow(self, run: ObservedRun, step: str, expected_s: float, limit_s: float) -> None:
        """Queue and send the alert that a step takes longer than usual."""
        _queue_and_deliver(run, [slow_step(step, expected_s, limit_s)])

    def alarmed(self, run: ObservedRun, monitor: str, alarms: Sequence[AlarmDocument]) -> None:
        """Queue and send the alerts about what a monitor has found while streams run."""
        _queue_and_deliver(run, [drift_event(run.product.name, monitor, alarm) for alarm in alarms])

    def run_ended(self, run: ObservedRun, document: RunDocument) -> None:
        """Queue and send the alerts about the run and about late tables."""
        if not run.product.alerts:
            return
        now = run.record.clock()
        events = [
            *events_in_run(run.record.ledger, document),
            *late_tables(run.product, run.tables.home, now),
            *service_level_events(run.record.ledger, run.product, now),
        ]
        queue_alerts(run.record.ledger, run.product, events, run.record.run_id, now, document.get("page"))
        deliver_alerts(run.record.ledger, run.settings, [run.product], clock=run.record.clock)


def _queue_and_deliver(run: ObservedRun, events: Sequence[AlertEvent]) -> None:
    """Queue events of a run that goes on, and try to send them."""
    if not run.product.alerts:
        return
    queue_alerts(run.record.ledger, run.product, events, run.record.run_id, run.record.clock())
    with contextlib.suppress(SQLAlchemyError, OSError):  # the end of the run tries again, and reports the error
        deliver_alerts(run.record.ledger, run.settings, [run.product], clock=run.record.clock)


OBSERVER = Alerts()
