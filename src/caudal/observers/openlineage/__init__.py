"""Send OpenLineage events about runs."""

from caudal.observers.openlineage.observer import OBSERVER
from caudal.observers.openlineage.outbox import deliver, note, note_start, waiting

__all__ = ["OBSERVER", "deliver", "note", "note_start", "waiting"]
