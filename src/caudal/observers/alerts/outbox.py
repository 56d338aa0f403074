"""The outbox of alerts: they are stored in the ledger before they are sent, so that a later run sends what a dead process did not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import or_, select, update

from caudal.declarations.alert import Alert, Mail, Webhook
from caudal.declarations.product import Product
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import alerts
from caudal.ledger.rows import AlertRow
from caudal.observers.alerts.happen import AlertEvent

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings

ATTEMPTS = 12  # over about two days
_FIRST_WAIT_S, _LONGEST_WAIT_S = 30.0, 6 * 3600.0
_SENDING_S = 300.0  # a process that has been sending for longer has died


def queue_alerts(
    ledger: Ledger, product: Product, events: Iterable[AlertEvent], run_id: str, now: float, page: str | None = None
) -> int:
    """Queue an alert for each event and declared recipient, and return the number of new ones; a repetition is only counted."""
    new = 0
    for happening in events:
        for declared in product.alerts:
            if happening.kind not in declared.on or (
                happening.kind == "quarantine" and happening.facts.get("share", 1.0) <= declared.share
            ):
                continue
            recent = _recent_alert(ledger, product.name, happening, declared, now)
            if recent is not None:
                ledger.change(alerts, {"id": recent["id"]}, repeats=recent["repeats"] + 1, last_at=now)
                continue
            document = {"what": happening.what, "fix": happening.fix, **happening.facts, "page": page}
            ledger.add(alerts, {
                "product": product.name, "happening": happening.kind, "subject": happening.subject, "run_id": run_id, "at": now, "last_at": now,
                "kind": declared.to.kind, "target": declared.to.target, "place": _place(declared.to), "document": document, "state": "new",
                "attempts": 0, "next_at": now, "repeats": 0,
            })  # fmt: skip
            new += 1
    return new


def deliver_alerts(
    ledger: Ledger, settings: Settings, products: Sequence[Product], *, clock: Callable[[], float],
    jitter: Callable[[], float] = random.random,
) -> list[AlertRow]:  # fmt: skip
    """Send the alerts that are due, and return their updated rows; a failed one is retried later.

    A recipient that does not answer is tried once, however many alerts there are for it. The ledger does not store the URLs of
    webhooks: only alerts of ``products``, which declare them, are posted; those of other products stay queued.
    """
    from caudal.observers.alerts.post import Undelivered, send

    attempted: list[AlertRow] = []
    silent: set[str] = set()
    names = [product.name for product in products]
    for row in _due(ledger, clock(), names):
        to = row["place"].get("webhook") or row["target"]
        if to in silent or not _claim(ledger, row, clock()):
            continue
        try:
            send(row, settings, _declared_webhook(row, products))
            outcome: dict[str, object] = {"state": "sent", "sent_at": clock(), "error": None}
        except Undelivered as error:
            wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** row["attempts"]) * (0.5 + jitter() / 2)
            outcome = {"state": "failed", "error": str(error), "next_at": clock() + wait_s}
            silent.add(to)
        ledger.change(alerts, {"id": row["id"]}, attempts=row["attempts"] + 1, **outcome)
        attempted.append(cast("AlertRow", {**row, "attempts": row["attempts"] + 1, **outcome}))
    return attempted


def undelivered(ledger: Ledger, product: str | None = None) -> list[AlertRow]:
    """Return the alerts whose last delivery failed."""
    failed = ledger.find(alerts, state="failed")
    return [row for row in failed if product is None or row["product"] == product]


def _recent_alert(ledger: Ledger, product: str, happening: AlertEvent, declared: Alert, now: float) -> AlertRow | None:
    """Return the earlier alert about the same thing; None if it is older than ``repeat_s`` or the product has recovered since."""
    filters: dict[str, Any] = {
        "product": product,
        "happening": happening.kind,
        "subject": happening.subject,
        "kind": declared.to.kind,
        "target": declared.to.target,
    }
    place = _place(declared.to)  # webhooks of one host differ by their digests
    rows = [row for row in ledger.find(alerts, newest=True, **filters) if row["place"].get("webhook") == place.get("webhook")][:1]
    if happening.kind in ("recovery", "promoted", "refused") or not rows or now - rows[0]["at"] >= declared.repeat_s:
        return None
    recovered = ledger.find(alerts, product=product, happening="recovery", newest=True, limit=1)
    return None if happening.kind == "failure" and recovered and recovered[0]["id"] > rows[0]["id"] else rows[0]


def _due(ledger: Ledger, now: float, products: Sequence[str]) -> list[AlertRow]:
    ours = (alerts.c.kind == "mail") | alerts.c.product.in_(products)
    waiting = alerts.c.state.in_(("new", "failed")) & (alerts.c.next_at <= now) & (alerts.c.attempts < ATTEMPTS)
    died = (alerts.c.state == "sending") & (alerts.c.next_at <= now - _SENDING_S)
    return ledger.rows(select(alerts).where(ours, or_(waiting, died)).order_by(alerts.c.id).limit(100), alerts)


def _claim(ledger: Ledger, row: AlertRow, now: float) -> bool:
    """Claim an alert for sending, and return whether that succeeded: of two processes only one changes the row."""
    mine = update(alerts).where(alerts.c.id == row["id"], alerts.c.state == row["state"], alerts.c.next_at == row["next_at"])
    with ledger.engine.begin() as connection:
        return bool(connection.execute(mine.values(state="sending", next_at=now)).rowcount == 1)


def _place(to: Mail | Webhook) -> Mapping[str, object]:
    if isinstance(to, Mail):
        return {"to": list(to.to), "sender": to.sender}
    return {"webhook": to.digest, "secret": to.secret}


def _declared_webhook(row: AlertRow, products: Sequence[Product]) -> Webhook | None:
    """Return the webhook of an alert; None for mail, and where the product does not declare the webhook any more."""
    declared = [alert.to for product in products if product.name == row["product"] for alert in product.alerts]
    return next((to for to in declared if isinstance(to, Webhook) and to.digest == row["place"].get("webhook")), None)
