"""Alerts by mail and webhook about events in runs."""

from caudal.observers.alerts.observer import OBSERVER
from caudal.observers.alerts.outbox import ATTEMPTS, deliver_alerts, queue_alerts, undelivered

__all__ = ["ATTEMPTS", "OBSERVER", "deliver_alerts", "queue_alerts", "undelivered"]
