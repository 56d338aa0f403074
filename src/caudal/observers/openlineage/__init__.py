"""Send OpenLineage events about runs."""

from caudal.observers.openlineage.observer import OBSERVER
from caudal.observers.openlineage.outbox import deliver_events, note_start, queue_events, waiting

__all__ = ["OBSERVER", "deliver_events", "note_start", "queue_events", "waiting"]
