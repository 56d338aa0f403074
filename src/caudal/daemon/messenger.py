"""Reports late tables, service levels and undelivered alerts while nothing runs, in a separate thread, because servers may be slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError
from caudal.ledger.ledger import Ledger
from caudal.observers.alerts import deliver_alerts, queue_alerts
from caudal.observers.alerts.happen import AlertEvent, late_tables
from caudal.observers.alerts.service_levels import service_level_events
from caudal.tables.home import Home

LOOK_S = 10.0
ASSESS_S = 60.0  # between two looks at service levels, which are counted in minutes
_END_S = 15.0  # longer than a server's timeout


class Messenger:
    """Looks for late tables of some products, and sends due alerts, for the length of a block."""

    def __init__(
        self, products: Sequence[Product], home: Home, ledger: Ledger, settings: Settings, say: Callable[[dict[str, object]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._products, self._home, self._ledger, self._settings, self._say, self._clock = (
            products,
            home,
            ledger,
            settings,
            say,
            clock,
        )
        self._late: dict[str, dict[str, float]] = {}
        self._levels: dict[str, tuple[float, list[AlertEvent]]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="messenger", daemon=True)

    def __enter__(self) -> Messenger:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(_END_S)

    def look(self) -> None:
        """Record which tables are late, and send due alerts."""
        now = self._clock()
        for product in self._products:
            queue_alerts(self._ledger, product, self._newly_late(product, now), "", now)
        for row in deliver_alerts(self._ledger, self._settings, self._products, clock=self._clock):
            self._say({
                "what": "told", "product": row["product"], "happening": row["happening"], "subject": row["subject"], "to": row["target"],
                "state": row["state"], "why": row["error"],
            })  # fmt: skip

    def _newly_late(self, product: Product, now: float) -> list[AlertEvent]:
        """Return the tables that became late since the last look, and those whose alert is due again."""
        again_s = min((alert.repeat_s for alert in product.alerts), default=0.0)
        late_now = {
            happening.subject: happening
            for happening in (*late_tables(product, self._home, now), *self._level_events(product, now))
        }
        reported_at = {subject: at for subject, at in self._late.get(product.name, {}).items() if subject in late_now}
        new = [
            happening
            for subject, happening in late_now.items()
            if subject not in reported_at or now - reported_at[subject] >= again_s
        ]
        self._late[product.name] = reported_at | {happening.subject: now for happening in new}
        return new

    def _level_events(self, product: Product, now: float) -> list[AlertEvent]:
        """Return the events of the product's service levels, assessed once a minute."""
        if not product.alerts or not product.agreements:
            return []
        assessed = self._levels.get(product.name)
        if assessed is None or not 0 <= now - assessed[0] < ASSESS_S:
            assessed = self._levels[product.name] = (now, list(service_level_events(self._ledger, product, now)))
        return assessed[1]

    def _work(self) -> None:
        while not self._over.is_set():
            try:
                self.look()
            except (SQLAlchemyError, OSError, CaudalError) as error:  # it may come back
                self._say({"what": "trouble", "trigger": "alerts", "why": f"{type(error).__name__}: {error}".splitlines()[0]})
            self._over.wait(LOOK_S)
