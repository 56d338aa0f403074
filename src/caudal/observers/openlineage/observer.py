"""The observer that sends OpenLineage events of each run to a server or a file."""

from __future__ import annotations

from caudal.observers.openlineage.outbox import note_start, queue_events
from caudal.report.run_document import RunDocument
from caudal.runtime.observer import ObservedRun, RunObserver


class OpenLineage(RunObserver):
    """Queues the events of a run and tries to deliver them, if the settings name a target."""

    order = 60

    def run_began(self, run: ObservedRun) -> None:
        """Queue and send the event of a run's start."""
        note_start(run)

    def run_ended(self, run: ObservedRun, document: RunDocument) -> None:
        """Queue and send the events of a run that has ended."""
        queue_events(run, document["run_id"])


OBSERVER = OpenLineage()
