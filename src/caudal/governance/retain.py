"""``caudal retain``: show what may be deleted by the declared retention times, and delete it on request.

Raw files are never touched, but those of logged requests whose source says how long they are kept; nor the training versions of models that are in production or were within the last ninety days,
nor the versions that these were made of. An expired day is removed by a commit; its files are deleted by the same command an hour
later, when every reader has finished. After a kill in between, the same command goes on.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import delete

from caudal.declarations.duration import text
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem
from caudal.governance.request_files import old_requests, request_sources
from caudal.graph.load import load
from caudal.graph.registered import tables_of
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import decisions, deletions, landed, model_versions, runs
from caudal.runtime.lifecycle import new_run_id, user_name
from caudal.runtime.opening import hold_product, open_home
from caudal.service_levels import history
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.storage.place import Place, relative_path
from caudal.streaming.sources import stream_lease
from caudal.tables import lifespans
from caudal.tables.home import Home
from caudal.tables.landing import store_path

if TYPE_CHECKING:
    from caudal.report.documents import GoingDocument, ProtectedVersion, RetainDocument


ROLLBACK_S = 90 * 86400.0  # a version that was in production within this time may be restored
READING_S = 3600.0  # readers of a replaced version have this long to finish


@dataclass
class PlannedDeletion:
    """Files, or rows of the ledger, that are due for deletion, and why."""

    kind: str
    table: str | None
    name: str
    why: str
    folder: Place
    files: list[lifespans.Lifespan] = field(default_factory=list)
    days: tuple[str, ...] = ()
    rows: int = 0
    before: float | None = None
    landed: list[int] = field(default_factory=list)

    def as_dict(self) -> GoingDocument:
        """Return the line of the plan."""
        size = sum(file.bytes for file in self.files)
        return {
            "kind": self.kind,
            "table": self.table,
            "name": self.name,
            "why": self.why,
            "files": len(self.files),
            "bytes": size,
            "rows": self.rows,
        }


def retain(folder: Path, settings: Settings, *, yes: bool = False, clock: Callable[[], float] = time.time) -> RetainDocument:
    """Return what the declared retention deletes, and what it protects although its time is over; with ``yes``, delete it.

    Raises
    ------
    DeclarationProblem : no retention is declared, or it would delete days of a source
    LeaseHeld : a run or a stream of the product is active
    """
    product, home = load(folder), open_home(settings)
    _check_retentions(product)
    with contextlib.ExitStack() as open_:
        ledger = open_.enter_context(contextlib.closing(home.ledger()))
        open_.enter_context(hold_product(home, ledger, product))
        open_.enter_context(lease(stream_lease(home, product), f"{product.name} (stream)"))
        protected = live_versions(product, home, ledger, clock())
        plan = list(_plan(product, home, ledger, protected, clock()))
        if yes:
            for deletion in plan:
                _let_go(deletion, product, ledger, clock())
    stays: list[ProtectedVersion] = [
        {"table": table, "version": number, "why": why} for (table, number), why in sorted(protected.items())
    ]
    lines = [deletion.as_dict() for deletion in plan]
    return {
        "product": product.name, "done": yes, "going": lines, "files": sum(line["files"] for line in lines), "bytes": sum(line["bytes"] for line in lines),
        "protected": stays,
    }  # fmt: skip


def live_versions(product: Product, home: Home, ledger: Ledger, now: float) -> dict[tuple[str, int], str]:
    """Return the training tables' versions of models that are, or recently were, in production, with all versions these were made
    of."""
    reasons: dict[tuple[str, int], str] = {}

    def protect(table: str, number: int, why: str) -> None:
        if (table, number) in reasons:
            return
        reasons[table, number] = why
        for name, version in delta.identity(home.table(product.name, table), number).get("inputs", {}).items():
            if name in product.nodes:
                protect(name, int(version), why)

    for model in {row["model"] for row in ledger.find(model_versions, product=product.name)}:
        champion = ledger.champion(product.name, model)
        decision_rows = [row for row in ledger.find(decisions, product=product.name, model=model) if row["decision"] != "refused"]
        recent = {row["version"] for row in decision_rows if row["at"] >= now - ROLLBACK_S} | {
            row["replaced"] for row in decision_rows if row["at"] >= now - ROLLBACK_S
        }
        for row in ledger.find(model_versions, product=product.name, model=model):
            if champion is not None and row["version"] == champion["version"]:
                protect(
                    row["training_table"],
                    row["training_version"],
                    f"{model} version {row['version']}, in production, learned from it",
                )
            elif row["version"] in recent:
                protect(
                    row["training_table"],
                    row["training_version"],
                    f"{model} version {row['version']}, lately in production, learned from it",
                )
    return reasons


def _plan(
    product: Product, home: Home, ledger: Ledger, protected: dict[tuple[str, int], str], now: float
) -> Iterator[PlannedDeletion]:
    for name in tables_of(product):
        protected_numbers = {number for table, number in protected if table == name}
        kept_days = _length(product, name, "days_s")
        if kept_days is not None and name not in product.sources:
            yield from _days(product, home, name, kept_days, now)
            yield from _files_of_days(name, home.table(product.name, name), protected_numbers, now)
        yield from _versions(
            "versions", name, home.table(product.name, name), _length(product, name, "versions_s"), protected_numbers, now
        )
        yield from _versions(
            "quarantine", name, home.quarantine(product.name, name), _length(product, name, "quarantine_s"), set(), now
        )
    for name, (_, connection) in request_sources(product).items():
        if connection.keep_s is not None:
            yield from _requests(product, home, ledger, name, connection.keep_s, now)
    pages = _length(product, None, "pages_s")
    if pages is not None:
        expired = [row["run_id"] for row in ledger.find(runs, product=product.name) if row["started_at"] <= now - pages]
        yield from _loose(
            "pages", home.page(product.name, "x").parent, [f"{run_id}.html" for run_id in expired], f"older than {text(pages)}"
        )
    live = _length(product, None, "live_s")
    if live is not None and home.live(product.name).is_dir():
        expired = [
            path.name
            for path in home.live(product.name).iterdir()
            if path.suffix == ".jsonl" and path.stat().st_mtime <= now - live
        ]
        yield from _loose("live", home.live(product.name), expired, f"older than {text(live)}")
    minutes = _length(product, None, "minutes_s")
    if minutes is not None and (rows := history.count_minutes(ledger, product.name, now - minutes)):
        why = f"older than {text(minutes)}"
        yield PlannedDeletion("minutes", None, "figures of minutes", why, home.live(product.name), rows=rows, before=now - minutes)


def _versions(
    kind: str, name: str, folder: Place, keep_s: float | None, protected: set[int], now: float
) -> Iterator[PlannedDeletion]:
    newest = delta.version_of(folder)
    if keep_s is None or newest is None:
        return
    spans, times = lifespans.lifespans(folder)
    expired_numbers = lifespans.expired(times, now - max(keep_s, READING_S), protected)
    files = lifespans.unneeded_files(spans, folder, expired_numbers, newest)
    if files:
        range_text = f"{min(expired_numbers)} to {max(expired_numbers)}" if len(expired_numbers) > 1 else str(min(expired_numbers))
        yield PlannedDeletion(kind, name, f"versions {range_text}", f"replaced more than {text(keep_s)} ago", folder, files)


def _days(product: Product, home: Home, name: str, keep_s: float, now: float) -> Iterator[PlannedDeletion]:
    """Yield the expired days of a table's newest version; their files are deleted when no version names them any more."""
    folder, first = home.table(product.name, name), _first_day(product, keep_s, now)
    if delta.version_of(folder) is None:
        return
    version = delta.read_version(folder)
    days = tuple(sorted(day for day in version.days if day is not None and day < first))
    if days:
        files = [lifespans.Lifespan(file.path, file.bytes, 0) for file in version.files if file.day in days]
        yield PlannedDeletion(
            "days", name, f"{days[0]} to {days[-1]}", f"before {first}, older than {text(keep_s)}", folder, files, days
        )


def _files_of_days(name: str, folder: Place, protected: set[int], now: float) -> Iterator[PlannedDeletion]:
    """Yield the files of days that were removed so long ago that every reader has finished."""
    newest = delta.version_of(folder)
    if newest is None:
        return
    spans, times = lifespans.lifespans(folder)
    removals = {
        number for number in times if lifespans.RETAINED in delta.identity(folder, number) and times[number] <= now - READING_S
    }
    files = [span for span in spans if span.removed in removals and not span.named_by(protected) and (folder / span.path).is_file()]
    if files:
        yield PlannedDeletion("days", name, "files of days that were taken out", "no reader is left", folder, files)


def _requests(product: Product, home: Home, ledger: Ledger, source: str, keep_s: float, now: float) -> Iterator[PlannedDeletion]:
    """Yield logged requests that are older than their source keeps them; the next run takes their rows out of its table."""
    written, landed_rows = old_requests(home, ledger, product.name, source, now - keep_s)
    why = f"older than {text(keep_s)}"
    if written:  # first: what is landed and lies here still would be landed again
        files = [lifespans.Lifespan(file.name, file.stat().st_size, 0) for file in written]
        yield PlannedDeletion("requests", source, "logged requests", why, home.requests(product.name, source), files)
    if landed_rows:
        folder = home.raw(product.name, source)
        paths = [relative_path(store_path(folder, row["sha256"], row["path"]), folder).as_posix() for row in landed_rows]
        files = [lifespans.Lifespan(path, row["bytes"], 0) for path, row in zip(paths, landed_rows, strict=True)]
        ids = [row["id"] for row in landed_rows]
        yield PlannedDeletion("requests", source, "landed requests", why, folder, files, landed=ids)


def _loose(kind: str, folder: Place, names: list[str], why: str) -> Iterator[PlannedDeletion]:
    files = [lifespans.Lifespan(name, (folder / name).stat().st_size, 0) for name in names if (folder / name).is_file()]
    if files:
        yield PlannedDeletion(kind, None, kind, why, folder, files)


def _let_go(deletion: PlannedDeletion, product: Product, ledger: Ledger, now: float) -> None:
    """Record a deletion, then do it: a superfluous ledger row is harmless, an unrecorded deletion is not."""
    document: dict[str, object] = {
        "name": deletion.name, "paths": [file.path for file in deletion.files][:1000], "days": list(deletion.days),
    }  # fmt: skip
    if deletion.rows:
        document["rows"] = deletion.rows
    ledger.add(deletions, {"product": product.name, "table": deletion.table, "kind": deletion.kind, "why": deletion.why, "who": user_name(), "at": now,
                           "files": len(deletion.files), "bytes": sum(file.bytes for file in deletion.files), "document": document})  # fmt: skip
    if deletion.before is not None:
        history.delete_minutes(ledger, product.name, deletion.before)
    if deletion.days:
        lifespans.without_days(
            deletion.folder, deletion.days, {"run_id": new_run_id(), "step": f"retain:{deletion.table}", "at": now}
        )
    else:
        lifespans.unlink(deletion.folder, deletion.files)
    if deletion.landed:  # last: what no row names any more would stay
        _forget_landed(ledger, deletion.landed)


def _forget_landed(ledger: Ledger, ids: Sequence[int]) -> None:
    with ledger.engine.begin() as connection:
        for first in range(0, len(ids), 500):
            connection.execute(delete(landed).where(landed.c.id.in_(ids[first : first + 500])))


def _length(product: Product, table: str | None, kind: str) -> float | None:
    """Return how long something is kept: a retention of the table itself wins over a general one."""
    candidates = [
        retention for retention in product.retentions if getattr(retention, kind) is not None and retention.table in (None, table)
    ]
    table_specific = [retention for retention in candidates if retention.table == table]
    length: float | None = getattr((table_specific or candidates)[-1], kind) if candidates else None
    return length


def _first_day(product: Product, keep_s: float, now: float) -> str:
    return (dt.datetime.fromtimestamp(now - keep_s, ZoneInfo(product.tz)).date()).isoformat()


def _check_retentions(product: Product) -> None:
    if not product.retentions and all(connection.keep_s is None for _, connection in request_sources(product).values()):
        raise DeclarationProblem(
            f"Product '{product.name}' declares no retention: everything is kept.",
            fix='Declare it: product.retain(versions="30 days"), product.retain(table, days="90 days").',
            where=str(product.where),
        )
    for retention in product.retentions:
        if retention.table and retention.days_s is not None and isinstance(product.nodes.get(retention.table), Source):
            raise DeclarationProblem(
                f"'{retention.table}' is a source and keeps its days: they are what everything else can be made from again.",
                fix="Give days to a derived table; a person's rows leave a source by caudal erase.", where=str(retention.where),
            )  # fmt: skip
    longest = max((agreement.level.over_s for agreement in product.service_levels), default=0.0)
    kept = _length(product, None, "minutes_s")
    if kept is not None and kept < longest:
        raise DeclarationProblem(
            f"Figures of minutes are kept for {text(kept)}, and a service level of '{product.name}' is over {text(longest)}.",
            fix=f'Keep them as long at least: product.retain(minutes="{text(longest)}").', where=str(product.where),
        )  # fmt: skip
