"""Events are rows in the ledger before anything is done about them.

    new ──take──▶ taken ──settle──▶ done | failed
     ▲              │
     └──────────────┘ the run was asked to stop, failed by what may pass, or died with its daemon

A happening has one key, so whoever sees it again, or beside another, notes nothing. How a run ended is in the run's own row; events
are settled by it, in one transaction, by their daemon or by whoever finds that the daemon is dead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from caudal.ledger.ledger import Ledger
from caudal.ledger.records import events, runs, schedules
from caudal.ledger.rows import EventRow, ScheduleRow

Ending = Literal["done", "failed", "new"]
_RACES = 5


@dataclass(frozen=True)
class Event:
    """Something that happened, for which a product is to run.

    Parameters
    ----------
    subject : the file, the images, the rows, the time, the table
    happening : what tells it from every other happening of the product
    at : seconds since 1970, UTC
    alone : it gets a run of its own, others share one
    """

    product: str
    trigger: str
    kind: Literal["file", "images", "rows", "time", "table"]
    subject: str
    happening: str
    at: float
    pipeline: Literal["all", "predict"] = "all"
    alone: bool = False
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The happening, short enough for an index."""
        return hashlib.sha256(f"{self.trigger}\0{self.happening}".encode("utf-8", "surrogateescape")).hexdigest()

    def row(self) -> dict[str, object]:
        """Return the event as a new row of the ledger."""
        return {
            "product": self.product, "trigger": self.trigger, "kind": self.kind, "key": self.key, "at": self.at, "pipeline": self.pipeline,
            "subject": self.subject.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), "alone": self.alone,
            "state": "new", "attempts": 0, "not_before": 0.0, "detail": dict(self.detail),
        }  # fmt: skip


def note(
    ledger: Ledger, happened: Sequence[Event], *, schedule: ScheduleRow | None = None, taken: Mapping[str, object] | None = None
) -> list[Event]:
    """Write what happened and return what nobody had noted.

    Parameters
    ----------
    schedule : a row that is brought forward in the same transaction
    taken : by whom and for which run it is taken at once (``taken_by``, ``run_id``); it waits for a run when left out
    """
    about = {} if taken is None else {"state": "taken", **taken}
    for race in range(_RACES):
        try:
            with ledger.engine.begin() as connection:
                new = [happening for happening in happened if not _known(connection, happening)]
                if new:
                    connection.execute(insert(events), [one.row() | about for one in new])
                if schedule is not None:
                    _bring_forward(connection, schedule)
                return new
        except IntegrityError:  # another daemon noted the same in between
            if race == _RACES - 1:
                raise
    return []


def take(ledger: Ledger, product: str, daemon: str, run_id: str, now: float) -> list[EventRow]:
    """Take the events that a run of a product is to be for: all that wait, or the oldest where that is to be alone.

    Those that failed before come along: the run is for all that is there.
    """
    ready = [row for row in ledger.find(events, product=product, state="new") if row["not_before"] <= now]
    if not ready:
        return []
    failed = ledger.find(events, product=product, state="failed")
    chosen = ready[:1] if ready[0]["alone"] else [row for row in (*ready, *failed) if not row["alone"]]
    ids = [row["id"] for row in chosen]
    with ledger.engine.begin() as connection:
        free = events.c.state.in_(["new", "failed"])  # another daemon may have been quicker
        mine = update(events).where(events.c.id.in_(ids), free)
        connection.execute(mine.values(state="taken", taken_by=daemon, run_id=run_id))
    return ledger.find(events, product=product, run_id=run_id, state="taken")


def settle(ledger: Ledger, run_id: str, ending: Ending, *, not_before: float = 0.0, again: bool = False, **detail: object) -> int:
    """Write how the run ended that these events were taken for, and return how many they were.

    ``again`` counts the run as an attempt that failed.
    """
    with ledger.engine.begin() as connection:
        rows = connection.execute(select(events).where(events.c.run_id == run_id, events.c.state == "taken")).mappings().all()
        for row in rows:
            told = {**(row["detail"] or {}), **detail}
            connection.execute(
                update(events)
                .where(events.c.id == row["id"], events.c.state == "taken")
                .values(
                    state=ending,
                    detail=told,
                    attempts=row["attempts"] + again,
                    not_before=not_before,
                    **({"taken_by": None, "run_id": None} if ending == "new" else {}),
                )
            )
    return len(rows)


def orphans(ledger: Ledger) -> dict[str, list[EventRow]]:
    """Return the events that are taken, by the daemon that took them."""
    found: dict[str, list[EventRow]] = {}
    for row in ledger.find(events, state="taken"):
        found.setdefault(row["taken_by"] or "", []).append(row)
    return found


def take_up(ledger: Ledger, rows: Sequence[EventRow]) -> dict[str, Ending]:
    """Settle events that no run is at work for any more: done where their run has succeeded, else new. Returns how, by run."""
    ended: dict[str, Ending] = {}
    for run_id in dict.fromkeys(row["run_id"] for row in rows if row["run_id"] is not None):
        ended[run_id] = "done" if ledger.find(runs, run_id=run_id, state="succeeded") else "new"
        settle(ledger, run_id, ended[run_id])
    return ended


def try_failed_again(ledger: Ledger, product: str) -> int:
    """Make failed events new, for a daemon that begins: what was wrong may have been mended. Returns how many."""
    return ledger.change(
        events, {"product": product, "state": "failed"}, state="new", attempts=0, not_before=0.0, run_id=None, taken_by=None
    )


def _known(connection: Connection, one: Event) -> bool:
    same = select(events.c.id).where(events.c.product == one.product, events.c.key == one.key)
    return connection.execute(same).first() is not None


def _bring_forward(connection: Connection, row: ScheduleRow) -> None:
    where = (schedules.c.product == row["product"], schedules.c.trigger == row["trigger"])
    there = connection.execute(select(schedules.c.until).where(*where)).first()
    if there is None:
        connection.execute(insert(schedules).values(**row))
    elif there[0] < row["until"]:
        connection.execute(update(schedules).where(*where).values(until=row["until"], next_at=row["next_at"]))
