"""What runs did, told to others as OpenLineage events."""

from caudal.run.openlineage.outbox import deliver, note, note_start, waiting

__all__ = ["deliver", "note", "note_start", "waiting"]
