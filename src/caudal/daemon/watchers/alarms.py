"""Alarms of monitors that ask for a training (``retrain="drift"``): such an alarm is an event, so that the next run begins at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from caudal.batch.retraining import standing_alarms
from caudal.daemon.events import Event
from caudal.daemon.watch import DeclaredTrigger, Look, watches
from caudal.declarations.model import Model
from caudal.declarations.product import Product
from caudal.declarations.retraining import Retraining
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import model_versions

AGAIN_S = 2.0  # a look asks for one row by its index, until a monitor has counted something new


@watches("alarms")
def alarm_watcher(watched: DeclaredTrigger) -> AlarmWatcher | None:
    """Return the watcher of the alarms for which a model is trained again; None for other triggers."""
    if not isinstance(watched.trigger, Retraining) or not watched.trigger.drift:
        return None
    return AlarmWatcher(watched.product, watched.product.models[watched.of.removeprefix("model:")])


class AlarmWatcher:
    """The monitors of one model."""

    def __init__(self, product: Product, model: Model, clock: Callable[[], float] = time.time) -> None:
        self.product, self.name = product.name, f"model:{model.name}"
        self._product, self._model, self._clock = product, model, clock
        self._monitors = [name for name, monitor in product.monitors.items() if monitor.of == model.name]
        self._looked_at: list[int] = []
        self._seen: list[int] = []

    def places(self) -> list[tuple[Path, bool]]:
        """Return no folder: the ledger is asked from time to time."""
        return []

    def look(self, ledger: Ledger) -> Look:
        """Return an event for the alarms that ask for a training, if a monitor has counted something since the last look."""
        rows = [ledger.last_success(self.product, f"monitor:{name}") for name in self._monitors]
        self._looked_at = [row["id"] for row in rows if row is not None]
        champion = ledger.champion(self.product, self._model.name)
        if self._looked_at == self._seen or champion is None:
            return Look([], again_s=AGAIN_S)
        versions = ledger.find(model_versions, product=self.product, model=self._model.name)
        asking = [alarm for alarm in standing_alarms(ledger, self._product, self._model, champion, versions) if alarm.asks]
        if not asking:
            self._seen = self._looked_at
            return Look([], again_s=AGAIN_S)
        happening = " ".join(sorted(f"{alarm.monitor} {alarm.figure.label} {alarm.figure.end:.0f}" for alarm in asking))
        subject = f"alarm of monitor '{asking[0].monitor}': {asking[0].figure.label}" + (
            f" and {len(asking) - 1} more" * (len(asking) > 1)
        )
        event = Event(self.product, self.name, "alarm", subject, happening, self._clock(), detail={"model": self._model.name})
        return Look([event], again_s=AGAIN_S)

    def recorded(self, recorded_events: list[Event]) -> None:
        """Remember what was counted when the ledger got these events."""
        if recorded_events:
            self._seen = self._looked_at
