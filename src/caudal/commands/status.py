"""``caudal status``: the status of products, from the ledger and the tables' logs alone."""

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
from caudal.graph.product_name import product_name
from caudal.graph.registered import kind_of_step, step_kinds, steps_where
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import events, model_versions, runs, schedules, steps
from caudal.messaging.feed import Feed
from caudal.observers.alerts import ATTEMPTS, undelivered
from caudal.report.sections.others import PARTS_OF_CAUDAL
from caudal.runtime.opening import open_home
from caudal.service_levels.agreed import stored_agreed
from caudal.service_levels.words import measured
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


_UPDATES_SEARCHED = 200  # newest updates of the live feed to search: enough to include each source


def home_status(settings: Settings, folder: Path | None = None) -> StatusDocument:
    """Return last run, tables and champions of one product or of all in the home."""
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        names = [product_name(folder)] if folder else known_products(ledger)
        return {"home": str(home.path), "lake": str(home.lake), "products": [_product(home, ledger, name) for name in names]}


def known_products(ledger: Ledger) -> list[str]:
    """Return the names of the products that have run or have waiting events."""
    return sorted({row["product"] for table in (runs, events) for row in ledger.rows(select(table.c.product).distinct())})


def resolve_product(home: Home, ledger: Ledger, product: str | None) -> str:
    """Return the named product, or the only one in the home.

    Raises
    ------
    NotThere : no product matches, or there are several and none is named
    """
    names = known_products(ledger)
    if product is not None and product in names:
        return product
    if product is not None:
        raise NotThere(
            f"'{product}' has not run in {home.path}.",
            nearest=nearest(product, names),
            fix=f"There are: {', '.join(names) or 'none yet'}.",
        )
    if len(names) == 1:
        return names[0]
    if not names:
        raise NotThere(f"No product has run in {home.path}.", fix="Run one with: caudal run FOLDER (or give the right --home).")
    raise NotThere(f"Several products have run in {home.path}: {', '.join(names)}.", fix="Say which one with --product NAME.")


def _product(home: Home, ledger: Ledger, product: str) -> ProductStatus:
    last = ledger.last_run(product)
    tables = {}
    for row in ledger.find(steps, product=product, state="succeeded"):
        if row["kind"] in steps_where(writes="table") and row["output_version"] is not None:
            tables[row["name"]] = row
    document: ProductStatus = {
        "product": product,
        "last_run": None if last is None else {
            "run_id": last["run_id"], "state": last["state"], "outcome": str((last["summary"] or {}).get("outcome") or last["state"]), "started_at": last["started_at"], "finished_at": last["finished_at"],
            "seconds": None if last["finished_at"] is None else round(last["finished_at"] - last["started_at"], 2), "error": last["error"],
            "page": str(home.page(product, last["run_id"])), "at_hand": last["at_hand"] if last["state"] == "running" else None,
        },
        "tables": [
            *(_table(home, product, name, row["kind"], row["finished_at"]) for name, row in tables.items()),
            *(_table(home, product, name, _step_kind_of_commit(home.table(product, name)), None) for name in _published(home, product) if name not in tables),
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
    if breached := _breached(ledger, product):
        document["breached"] = breached
    if others := _others(ledger, product):
        document["others"] = others
    return document


def _warehouse(ledger: Ledger, product: str) -> list[PublicationStatus]:
    """Return the last publication of each name."""
    published = ledger.find(steps, product=product, kind=list(steps_where(section="warehouse")), state="succeeded")
    newest = {row["name"]: row for row in published}
    return [
        {
            "name": name, "place": (row["detail"] or {}).get("place"), "version": row["output_version"],
            "age_s": round(time.time() - row["finished_at"], 1),
        }
        for name, row in newest.items() if row["finished_at"] is not None
    ]  # fmt: skip


def _breached(ledger: Ledger, product: str) -> list[str]:
    """Return a sentence for each service level that is breached."""
    agreed = stored_agreed(ledger, product)
    if agreed is None:
        return []
    from caudal.service_levels.assess import assess

    return [
        measured(state.agreement.subject, objective, state.agreement.level.over_s)
        for state in assess(ledger, agreed, time.time())
        for objective in state.objectives
        if objective.figures.state == "breached" and not state.agreement.simple
    ]


def _others(ledger: Ledger, product: str) -> dict[str, list[dict[str, object]]]:
    """Return the last results of nodes whose kinds other packages bring, by section; empty where there are none."""
    sections: dict[str, dict[str, dict[str, object]]] = {}
    for kind, step in step_kinds().items():
        if step.section is None or step.section in PARTS_OF_CAUDAL:
            continue
        for row in ledger.find(steps, product=product, kind=kind, state="succeeded"):
            age_s = round(time.time() - (row["finished_at"] or 0.0), 1)
            sections.setdefault(step.section, {})[row["name"]] = {
                "name": row["name"],
                **kind_of_step(kind).step_document(row),
                "age_s": age_s,
            }
    return {section: list(lines.values()) for section, lines in sections.items()}


def _up(ledger: Ledger, product: str) -> UpStatus | None:
    """Return counts of events by state and the next times of schedules; None where ``caudal up`` never ran."""
    counts = ledger.rows(
        select(events.c.state, func.count().label("events")).where(events.c.product == product).group_by(events.c.state)
    )
    schedule_rows = ledger.find(schedules, product=product)
    if not counts and not schedule_rows:
        return None
    count_by_state = {row["state"]: row["events"] for row in counts}
    failed = ledger.find(events, product=product, state="failed", newest=True, limit=1)
    return {
        "events": {
            "new": count_by_state.get("new", 0),
            "taken": count_by_state.get("taken", 0),
            "done": count_by_state.get("done", 0),
            "failed": count_by_state.get("failed", 0),
        },
        "failed": {"subject": failed[0]["subject"], "why": (failed[0]["detail"] or {}).get("why")} if failed else None,
        "schedules": [{"trigger": row["trigger"], "next_at": row["next_at"]} for row in schedule_rows],
    }


def _step_kind_of_commit(folder: Place) -> str:
    """Return the kind of the step that a table's newest commit names, for tables that the ledger does not have; commits of streams name none."""
    for number in range(delta.version_of(folder) or 0, -1, -1):
        kind = str(delta.identity(folder, number).get("step", "")).partition(":")[0]
        if kind in steps_where(writes="table", by_stream=False):
            return kind
        if "upto" in delta.identity(folder, number):
            break
    return "stream"


def _published(home: Home, product: str) -> list[str]:
    """Return the names of all published tables, also those that the ledger does not have."""
    folder = home.tables(product)
    return sorted(path.name for path in folder.iterdir() if (path / "_delta_log").is_dir()) if folder.is_dir() else []


def _streams(home: Home, ledger: Ledger, product: str) -> StreamsStatus | None:
    """Return the state of the product's streams from the last updates of the live feed; None where it has none."""
    feed = Feed(home.live(product))
    last_updates = {update["source"]: update for _, update in feed.tail(feed.end() - _UPDATES_SEARCHED)}
    if not last_updates:
        return None
    running = ledger.find(runs, product=product, state="running", command="stream")
    return {
        "running": any(row["host"] != socket.gethostname() or (row["pid"] is not None and _alive(row["pid"])) for row in running),
        "sources": {
            name: {
                "at": last["at"], "readings": last["total"], "per_s": last["rate"], "p95_s": last["latency_s"]["p95"] if last["latency_s"] else None, "late": last["late"],
                "duplicates": last["duplicates"], "unreadable": last["unreadable"], "windows": last["state"]["windows"],
            }
            for name, last in last_updates.items()
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
        "rows": delta.read_version(folder).rows if number is not None else 0,
        "quarantined": delta.read_version(quarantine).rows if delta.version_of(quarantine) is not None else 0,
        "age_s": round(time.time() - (finished_at or _last_commit_at(folder)), 1),
    }


def _last_commit_at(folder: Place) -> float:
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
