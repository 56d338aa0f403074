"""Who is told of what has happened."""

from caudal.run.alerts.outbox import ATTEMPTS, deliver, note, undelivered

__all__ = ["ATTEMPTS", "deliver", "note", "undelivered"]
