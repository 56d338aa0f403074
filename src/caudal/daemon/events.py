"""Events are rows in the ledger before they are handled.

    new ──take──▶ taken ──settle──▶ done | failed
     ▲              │
     └──────────────┘ the run was asked to stop, failed for a reason that may pass, or died with its daemon

An event has one key, so that a watcher, or two, that report it twice record it once. How a run ended is in the run's row; events are
settled from it in one transaction, by their daemon or by another one that finds that daemon dead.
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
    """Something that happened and makes a product run.

    Parameters
    ----------
    subject : the file, images, rows, time or table that the event is about
    happening : text that distinguishes it from every other happening of the product
    at : seconds since 1970, UTC
    alone : bool, True if the event gets a separate run; other events share one
    """

    product: str
    trigger: str
    kind: Literal["file", "images", "rows", "time", "table", "alarm"]
    subject: str
    happening: str
    at: float
    pipeline: Literal["all", "predict"] = "all"
    alone: bool = False
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A digest of the happening, short enough for an index."""
        return hashlib.sha256(f"{self.trigger}\0{self.happening}".encode("utf-8", "surrogateescape")).hexdigest()

    def row(self) -> dict[str, object]:
        """Return the event as a new row of the ledger."""
        return {
            "product": self.product, "trigger": self.trigger, "kind": self.kind, "key": self.key, "at": self.at, "pipeline": self.pipeline,
            "subject": self.subject.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), "alone": self.alone,
            "state": "new", "attempts": 0, "not_before": 0.0, "detail": dict(self.detail),
        }  # fmt: skip


def record_events(
    ledger: Ledger,
    reported: Sequence[Event],
    *,
    schedule: ScheduleRow | None = None,
    taken_by_run: Mapping[str, object] | None = None,
) -> list[Event]:
    """Record events in the ledger and return those that were not recorded before.

    Parameters
    ----------
    schedule : a schedule row that is updated in the same transaction
    taken : ``taken_by`` and ``run_id`` of a run that takes the events at once; without it they wait for a run
    """
    taken_columns = {} if taken_by_run is None else {"state": "taken", **taken_by_run}
    for race in range(_RACES):
        try:
            with ledger.engine.begin() as connection:
                new = [event for event in reported if not _known(connection, event)]
                if new:
                    connection.execute(insert(events), [event.row() | taken_columns for event in new])
                if schedule is not None:
                    _bring_forward(connection, schedule)
                return new
        except IntegrityError:  # another daemon noted the same in between
            if race == _RACES - 1:
                raise
    return []


def take_events(ledger: Ledger, product: str, daemon: str, run_id: str, now: float) -> list[EventRow]:
    """Take the events that the next run of a product handles: all that wait, or only the oldest if it needs a separate run.

    Events that failed before are included, because the run processes everything that is there.
    """
    ready = [row for row in ledger.find(events, product=product, state="new") if row["not_before"] <= now]
    if not ready:
        return []
    failed = ledger.find(events, product=product, state="failed")
    chosen = ready[:1] if ready[0]["alone"] else [row for row in (*ready, *failed) if not row["alone"]]
    ids = [row["id"] for row in chosen]
    with ledger.engine.begin() as connection:
        free = events.c.state.in_(["new", "failed"])  # another daemon may have been quicker
        take_free = update(events).where(events.c.id.in_(ids), free)
        connection.execute(take_free.values(state="taken", taken_by=daemon, run_id=run_id))
    return ledger.find(events, product=product, run_id=run_id, state="taken")


def settle(ledger: Ledger, run_id: str, ending: Ending, *, not_before: float = 0.0, again: bool = False, **detail: object) -> int:
    """Record how the run of these events ended, and return how many events there were.

    ``again`` counts the run as an attempt that failed.
    """
    with ledger.engine.begin() as connection:
        rows = connection.execute(select(events).where(events.c.run_id == run_id, events.c.state == "taken")).mappings().all()
        for row in rows:
            merged_detail = {**(row["detail"] or {}), **detail}
            connection.execute(
                update(events)
                .where(events.c.id == row["id"], events.c.state == "taken")
                .values(
                    state=ending,
                    detail=merged_detail,
                    attempts=row["attempts"] + again,
                    not_before=not_before,
                    **({"taken_by": None, "run_id": None} if ending == "new" else {}),
                )
            )
    return len(rows)


def taken_events(ledger: Ledger) -> dict[str, list[EventRow]]:
    """Return the taken events, by the daemon that took them."""
    rows_by_daemon: dict[str, list[EventRow]] = {}
    for row in ledger.find(events, state="taken"):
        rows_by_daemon.setdefault(row["taken_by"] or "", []).append(row)
    return rows_by_daemon


def settle_stopped_runs(ledger: Ledger, rows: Sequence[EventRow]) -> dict[str, Ending]:
    """Settle events whose run has stopped: done if the run succeeded, else new. Return the ending of each run."""
    ended: dict[str, Ending] = {}
    for run_id in dict.fromkeys(row["run_id"] for row in rows if row["run_id"] is not None):
        ended[run_id] = "done" if ledger.find(runs, run_id=run_id, state="succeeded") else "new"
        settle(ledger, run_id, ended[run_id])
    return ended


def try_failed_again(ledger: Ledger, product: str) -> int:
    """Make failed events new again, when a daemon starts: the cause may have been fixed. Return how many."""
    return ledger.change(
        events, {"product": product, "state": "failed"}, state="new", attempts=0, not_before=0.0, run_id=None, taken_by=None
    )


def _known(connection: Connection, event: Event) -> bool:
    same = select(events.c.id).where(events.c.product == event.product, events.c.key == event.key)
    return connection.execute(same).first() is not None


def _bring_forward(connection: Connection, row: ScheduleRow) -> None:
    where = (schedules.c.product == row["product"], schedules.c.trigger == row["trigger"])
    stored = connection.execute(select(schedules.c.until).where(*where)).first()
    if stored is None:
        connection.execute(insert(schedules).values(**row))
    elif stored[0] < row["until"]:
        connection.execute(update(schedules).where(*where).values(until=row["until"], next_at=row["next_at"]))
