"""``caudal status``: how products stand, told by the ledger and the tables' logs alone."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.graph.load import load
from caudal.graph.registered import kind_of_step, step_kinds, steps_where
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import events, model_versions, runs, schedules, steps
from caudal.messaging.feed import Feed
from caudal.observers.alerts import ATTEMPTS, undelivered
from caudal.report.sections.others import OWN
from caudal.runtime.opening import opened
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.tables.home import Home

if TYPE_CHECKING:
    from caudal.report.documents import (
        ModelStatus,
        ProductStatus,
        PublicationStatus,
        StatusDocument,
        StreamsStatus,
        TableStatus,
        UpStatus,
    )


_LOOKED_AT = 200  # updates of the live feed: enough for each source to be among them


def status(settings: Settings, folder: Path | None = None) -> StatusDocument:
    """Return, for one product or for all of the home, the last run, the tables and the champions."""
    home = opened(settings)
    with contextlib.closing(home.ledger()) as ledger:
        names = [product_name(folder)] if folder else products(ledger)
        return {"home": str(home.path), "lake": str(home.lake), "products": [_product(home, ledger, name) for name in names]}


def products(ledger: Ledger) -> list[str]:
    """Return the names of the products that have run, or wait to."""
    return sorted({row["product"] for table in (runs, events) for row in ledger.rows(select(table.c.product).distinct())})


def the_product(home: Home, ledger: Ledger, product: str | None) -> str:
    """Return the product that is meant: the one named, or the only one there is.

    Raises
    ------
    NotThere : there is none, or several
    """
    among = products(ledger)
    if product is not None and product in among:
        return product
    if product is not None:
        raise NotThere(
            f"'{product}' has not run in {home.path}.",
            nearest=nearest(product, among),
            fix=f"There are: {', '.join(among) or 'none yet'}.",
        )
    if len(among) == 1:
        return among[0]
    if not among:
        raise NotThere(f"No product has run in {home.path}.", fix="Run one with: caudal run FOLDER (or give the right --home).")
    raise NotThere(f"Several products have run in {home.path}: {', '.join(among)}.", fix="Say which one with --product NAME.")


def product_name(folder: Path) -> str:
    """Return the name of the product that a folder declares."""
    return load(folder).name


def _product(home: Home, ledger: Ledger, product: str) -> ProductStatus:
    last = ledger.last_run(product)
    tables = {}
    for row in ledger.find(steps, product=product, state="succeeded"):
        if row["kind"] in steps_where(writes="table") and row["output_version"] is not None:
            tables[row["name"]] = row
    stands: ProductStatus = {
        "product": product,
        "last_run": None if last is None else {
            "run_id": last["run_id"], "state": last["state"], "outcome": str((last["summary"] or {}).get("outcome") or last["state"]), "started_at": last["started_at"], "finished_at": last["finished_at"],
            "seconds": None if last["finished_at"] is None else round(last["finished_at"] - last["started_at"], 2), "error": last["error"],
            "page": str(home.page(product, last["run_id"])), "at_hand": last["at_hand"] if last["state"] == "running" else None,
        },
        "tables": [
            *(_table(home, product, name, row["kind"], row["finished_at"]) for name, row in tables.items()),
            *(_table(home, product, name, _made_by(home.table(product, name)), None) for name in _published(home, product) if name not in tables),
        ],
        "warehouse": _warehouse(ledger, product),
        "streams": _streams(home, ledger, product),
        "up": _up(ledger, product),
        "alerts": [
            {
                "title": f"{row['happening']} of {row['subject']}", "to": row["target"], "at": row["at"], "error": row["error"],
                "attempts": row["attempts"], "next_at": row["next_at"] if row["attempts"] < ATTEMPTS else None,
            }
            for row in undelivered(ledger, product)
        ],
        "models": [_model(ledger, product, name) for name in sorted({row["model"] for row in ledger.find(model_versions, product=product)})],
    }  # fmt: skip
    if others := _others(ledger, product):
        stands["others"] = others
    return stands


def _warehouse(ledger: Ledger, product: str) -> list[PublicationStatus]:
    """Return what was published last, by publication."""
    published = ledger.find(steps, product=product, kind=list(steps_where(section="warehouse")), state="succeeded")
    newest = {row["name"]: row for row in published}
    return [
        {
            "name": name, "place": (row["detail"] or {}).get("place"), "version": row["output_version"],
            "age_s": round(time.time() - row["finished_at"], 1),
        }
        for name, row in newest.items() if row["finished_at"] is not None
    ]  # fmt: skip


def _others(ledger: Ledger, product: str) -> dict[str, list[dict[str, object]]]:
    """Return what nodes of other packages' kinds made last, by section; nothing where there are none."""
    sections: dict[str, dict[str, dict[str, object]]] = {}
    for kind, step in step_kinds().items():
        if step.section is None or step.section in OWN:
            continue
        for row in ledger.find(steps, product=product, kind=kind, state="succeeded"):
            age_s = round(time.time() - (row["finished_at"] or 0.0), 1)
            sections.setdefault(step.section, {})[row["name"]] = {
                "name": row["name"],
                **kind_of_step(kind).told(row),
                "age_s": age_s,
            }
    return {section: list(lines.values()) for section, lines in sections.items()}


def _up(ledger: Ledger, product: str) -> UpStatus | None:
    """Return the events that wait, are at work or have failed, and when schedules come next; None where ``caudal up`` never was."""
    counted = ledger.rows(
        select(events.c.state, func.count().label("events")).where(events.c.product == product).group_by(events.c.state)
    )
    come = ledger.find(schedules, product=product)
    if not counted and not come:
        return None
    count = {row["state"]: row["events"] for row in counted}
    failed = ledger.find(events, product=product, state="failed", newest=True, limit=1)
    return {
        "events": {
            "new": count.get("new", 0),
            "taken": count.get("taken", 0),
            "done": count.get("done", 0),
            "failed": count.get("failed", 0),
        },
        "failed": {"subject": failed[0]["subject"], "why": (failed[0]["detail"] or {}).get("why")} if failed else None,
        "schedules": [{"trigger": row["trigger"], "next_at": row["next_at"]} for row in come],
    }


def _made_by(folder: Place) -> str:
    """Return the kind of the step that a table's newest commit names: the ledger may not have been told of it; a stream's names none."""
    for number in range(delta.version_of(folder) or 0, -1, -1):
        kind = str(delta.identity(folder, number).get("step", "")).partition(":")[0]
        if kind in steps_where(writes="table", by_stream=False):
            return kind
        if "upto" in delta.identity(folder, number):
            break
    return "stream"


def _published(home: Home, product: str) -> list[str]:
    """Return the names of all tables, whoever has made them."""
    folder = home.tables(product)
    return sorted(path.name for path in folder.iterdir() if (path / "_delta_log").is_dir()) if folder.is_dir() else []


def _streams(home: Home, ledger: Ledger, product: str) -> StreamsStatus | None:
    """Return how the product's streams stand by the last updates of the live feed; None where it never had any."""
    feed = Feed(home.live(product))
    last = {update["source"]: update for _, update in feed.tail(feed.end() - _LOOKED_AT)}
    if not last:
        return None
    running = ledger.find(runs, product=product, state="running", command="stream")
    return {
        "running": any(row["host"] != socket.gethostname() or (row["pid"] is not None and _alive(row["pid"])) for row in running),
        "sources": {
            name: {
                "at": one["at"], "readings": one["total"], "per_s": one["rate"], "p95_s": one["latency_s"]["p95"] if one["latency_s"] else None, "late": one["late"],
                "duplicates": one["duplicates"], "unreadable": one["unreadable"], "windows": one["state"]["windows"],
            }
            for name, one in last.items()
        },
    }  # fmt: skip


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _table(home: Home, product: str, name: str, kind: str, finished_at: float | None) -> TableStatus:
    folder = home.table(product, name)
    quarantine = home.quarantine(product, name)
    number = delta.version_of(folder)
    return {
        "table": name,
        "kind": kind,
        "version": number,
        "rows": delta.read(folder).rows if number is not None else 0,
        "quarantined": delta.read(quarantine).rows if delta.version_of(quarantine) is not None else 0,
        "age_s": round(time.time() - (finished_at or _changed(folder)), 1),
    }


def _changed(folder: Place) -> float:
    return max((path.stat().st_mtime for path in (folder / "_delta_log").glob("*.json")), default=0.0)


def _model(ledger: Ledger, product: str, model: str) -> ModelStatus:
    champion = ledger.champion(product, model)
    versions = ledger.find(model_versions, product=product, model=model)
    return {
        "model": model,
        "versions": len(versions),
        "champion": champion["version"] if champion else None,
        "candidate": champion["candidate"] if champion else None,
        "since": champion["decision"]["at"] if champion else None,
    }
