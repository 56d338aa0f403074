"""Alerts are rows of the ledger before anything is sent: who dies in between sends them the next time, and a failed delivery is seen."""

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
from caudal.observers.alerts.happen import Happened

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings

ATTEMPTS = 12  # over about two days
_FIRST_WAIT_S, _LONGEST_WAIT_S = 30.0, 6 * 3600.0
_SENDING_S = 300.0  # whoever has been sending for longer has died


def note(ledger: Ledger, product: Product, happened: Iterable[Happened], run_id: str, now: float, page: str | None = None) -> int:
    """Write down who is to be told of what; what was told of lately is counted and not told again. Returns how many are new."""
    new = 0
    for happening in happened:
        for declared in product.alerts:
            if happening.kind not in declared.on or (
                happening.kind == "quarantine" and happening.facts.get("share", 1.0) <= declared.share
            ):
                continue
            told = _told_lately(ledger, product.name, happening, declared, now)
            if told is not None:
                ledger.change(alerts, {"id": told["id"]}, repeats=told["repeats"] + 1, last_at=now)
                continue
            document = {"what": happening.what, "fix": happening.fix, **happening.facts, "page": page}
            ledger.add(alerts, {
                "product": product.name, "happening": happening.kind, "subject": happening.subject, "run_id": run_id, "at": now, "last_at": now,
                "kind": declared.to.kind, "target": declared.to.target, "place": _place(declared.to), "document": document, "state": "new",
                "attempts": 0, "next_at": now, "repeats": 0,
            })  # fmt: skip
            new += 1
    return new


def deliver(
    ledger: Ledger, settings: Settings, products: Sequence[Product], *, clock: Callable[[], float],
    jitter: Callable[[], float] = random.random,
) -> list[AlertRow]:  # fmt: skip
    """Send what is due, and return those alerts as they stand now; one that fails is tried again later.

    A place that does not answer is waited for once, however many alerts there are for it. The address of a webhook is in no ledger: only
    alerts of ``products``, which declare theirs, are posted; those of others wait for these.
    """
    from caudal.observers.alerts.post import Undelivered, send

    done: list[AlertRow] = []
    silent: set[str] = set()
    names = [product.name for product in products]
    for row in _due(ledger, clock(), names):
        to = row["place"].get("webhook") or row["target"]
        if to in silent or not _claimed(ledger, row, clock()):
            continue
        try:
            send(row, settings, _declared(row, products))
            said: dict[str, object] = {"state": "sent", "sent_at": clock(), "error": None}
        except Undelivered as error:
            wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** row["attempts"]) * (0.5 + jitter() / 2)
            said = {"state": "failed", "error": str(error), "next_at": clock() + wait_s}
            silent.add(to)
        ledger.change(alerts, {"id": row["id"]}, attempts=row["attempts"] + 1, **said)
        done.append(cast("AlertRow", {**row, "attempts": row["attempts"] + 1, **said}))
    return done


def undelivered(ledger: Ledger, product: str | None = None) -> list[AlertRow]:
    """Return the alerts that could not be sent yet."""
    found = ledger.find(alerts, state="failed")
    return [row for row in found if product is None or row["product"] == product]


def _told_lately(ledger: Ledger, product: str, one: Happened, declared: Alert, now: float) -> AlertRow | None:
    """Return the alert that told of this, unless that is long ago or the product has recovered since."""
    asked: dict[str, Any] = {
        "product": product,
        "happening": one.kind,
        "subject": one.subject,
        "kind": declared.to.kind,
        "target": declared.to.target,
    }
    place = _place(declared.to)  # webhooks of one host are told apart by their digests
    found = [row for row in ledger.find(alerts, newest=True, **asked) if row["place"].get("webhook") == place.get("webhook")][:1]
    if one.kind in ("recovery", "promoted", "refused") or not found or now - found[0]["at"] >= declared.repeat_s:
        return None
    recovered = ledger.find(alerts, product=product, happening="recovery", newest=True, limit=1)
    return None if one.kind == "failure" and recovered and recovered[0]["id"] > found[0]["id"] else found[0]


def _due(ledger: Ledger, now: float, products: Sequence[str]) -> list[AlertRow]:
    ours = (alerts.c.kind == "mail") | alerts.c.product.in_(products)
    waiting = alerts.c.state.in_(("new", "failed")) & (alerts.c.next_at <= now) & (alerts.c.attempts < ATTEMPTS)
    died = (alerts.c.state == "sending") & (alerts.c.next_at <= now - _SENDING_S)
    return ledger.rows(select(alerts).where(ours, or_(waiting, died)).order_by(alerts.c.id).limit(100), alerts)


def _claimed(ledger: Ledger, row: AlertRow, now: float) -> bool:
    """Tell whether this one is ours to send: of two who try, one changes the row."""
    mine = update(alerts).where(alerts.c.id == row["id"], alerts.c.state == row["state"], alerts.c.next_at == row["next_at"])
    with ledger.engine.begin() as connection:
        return bool(connection.execute(mine.values(state="sending", next_at=now)).rowcount == 1)


def _place(to: Mail | Webhook) -> Mapping[str, object]:
    if isinstance(to, Mail):
        return {"to": list(to.to), "sender": to.sender}
    return {"webhook": to.digest, "secret": to.secret}


def _declared(row: AlertRow, products: Sequence[Product]) -> Webhook | None:
    """Return the webhook that an alert is for; None where its product declares it no more, and of a mail."""
    declared = [alert.to for product in products if product.name == row["product"] for alert in product.alerts]
    return next((to for to in declared if isinstance(to, Webhook) and to.digest == row["place"].get("webhook")), None)
