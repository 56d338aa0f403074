"""``caudal backfill``: rebuild some days from raw files with the product as it is declared now; ``plan`` shows what that would rebuild."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.batch.execute import execute
from caudal.batch.plan import plan as steps_of
from caudal.batch.result import RunResult
from caudal.batch.step import Step
from caudal.batch.steps.build import extent_of_changes
from caudal.batch.steps.read import days_to_read_again, files_of_days
from caudal.declarations.node import Table
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, NotThere, nearest
from caudal.graph.build import build
from caudal.graph.load import load, product_file, with_data
from caudal.graph.registered import declared_nodes, is_streamed, step_kind, tables_of
from caudal.ledger.ledger import Ledger
from caudal.observers.registered import registered
from caudal.runtime.lifecycle import begin, end, new_run_id, recover
from caudal.runtime.opening import checked_product, hold_product, open_home
from caudal.runtime.process import Process
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.progress import NoProgress, Progress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_reporting import RunReporting
from caudal.runtime.run_request import RunRequest
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.storage import check_tables
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables.home import Home

if TYPE_CHECKING:
    from caudal.report.documents import BackfillPlan, PlannedFile, PlannedSource, PlannedTable


MOST_DAYS = 36_600


def plan_backfill(folder: Path, settings: Settings, first: str, last: str) -> BackfillPlan:
    """Return which days of which tables would be rebuilt, and from which raw files.

    Raises
    ------
    DeclarationProblem : the days are not valid, or the product's declaration has problems
    NotThere : the product has not run, or has no row of these days
    """
    again = days_between(first, last)
    with _opened_product(folder, settings) as (product, home, ledger, settings):
        ws = Workspace.compose(
            product, home, settings, RunRecord(product.name, ledger, new_run_id()), request=RunRequest(days_again=again)
        )
        if all(ws.tables.version(name) is None for name in ws.product.nodes):
            raise NotThere(f"Product '{ws.product.name}' has not run yet.", fix=f"Run it: caudal run {folder}")
        sources: list[PlannedSource] = []
        tables: list[PlannedTable] = []
        rebuilt: dict[str, set[str | None] | None] = {}  # None: the whole table
        nodes = {node.name: node for node in declared_nodes(ws.product)}
        for name in build(ws.product).order():
            kind, node = nodes[name].kind, nodes[name].declaration
            if kind.backfill == "left out" or ws.tables.version(name) is None:  # captured streams are not read again
                continue
            if kind.backfill == "from raw":
                if days := days_to_read_again(ws.tables, ws.request.days_again, node):
                    rebuilt[name] = days
                    raw_files: list[PlannedFile] = [
                        {"path": file.path, "bytes": file.bytes} for file in files_of_days(ws.tables, ws.record.ledger, node, days)
                    ]
                    sources.append({**_planned_table(ws.tables, name, days), "files": raw_files})
            else:
                rebuilt_days = _rebuilt_days(ws.tables, ws.spark, ws.request.days_again, node, rebuilt)
                if rebuilt_days is None or rebuilt_days:
                    rebuilt[name] = rebuilt_days
                    tables.append(_planned_table(ws.tables, name, rebuilt_days))
        if not rebuilt:
            raise NotThere(f"Product '{ws.product.name}' has no row from {first} to {last}.", fix="caudal status shows its tables.")
        return {"product": ws.product.name, "from": first, "to": last, "sources": sources, "tables": tables}


def rebuild(
    folder: Path, settings: Settings, tables: Sequence[str], *, progress: Progress | None = None, wait_s: float = 0.0,
    process: Process | None = None,
) -> RunResult:  # fmt: skip
    """Rebuild whole tables and what depends on them, sources from raw files and others from their inputs; published as in any run.

    For tables whose files are damaged or missing: only their logs are read.

    Raises
    ------
    NotThere : the product has no such table
    DeclarationProblem : a table is written by a stream, whose past is not read again
    """
    request = RunRequest(tables_again=frozenset(tables), process=process)
    with _held_workspace(folder, settings, request, progress, wait_s) as ws:
        names = tables_of(ws.product)
        for name in tables:
            if name not in names:
                raise NotThere(
                    f"Product '{ws.product.name}' has no table '{name}'.",
                    nearest=nearest(name, names),
                    fix=f"It has {', '.join(names)}.",
                )
            if is_streamed(ws.product, name):
                raise DeclarationProblem(
                    f"'{name}' is written by a stream, whose past is not read again.", fix="Put its folder back from a backup."
                )
        recover(ws)
        check_tables(ws.tables, but=tables)
        begin(ws, "backfill")
        board = execute(ws, _steps(ws.product))
        return RunResult(end(ws, board.error), board.error)


def backfill(
    folder: Path, settings: Settings, first: str, last: str, *, progress: Progress | None = None, wait_s: float = 0.0,
    process: Process | None = None,
) -> RunResult:  # fmt: skip
    """Rebuild these days from raw files, and what depends on them; published as in any run."""
    request = RunRequest(days_again=days_between(first, last), process=process)
    with _held_workspace(folder, settings, request, progress, wait_s) as ws:
        recover(ws)
        begin(ws, "backfill")
        board = execute(ws, _steps(ws.product))
        return RunResult(end(ws, board.error), board.error)


def _steps(product: Product) -> list[Step]:
    """Return the steps of a backfill; those that land or train are left out."""
    return [step for step in steps_of(product) if step_kind(step.kind).in_backfill]


def days_between(first: str, last: str) -> frozenset[str]:
    """Return the days from one to another, both included.

    Examples
    --------
    >>> sorted(days_between("2024-02-28", "2024-03-01"))
    ['2024-02-28', '2024-02-29', '2024-03-01']
    """
    try:
        begin_at, end_at = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    except ValueError as error:
        raise DeclarationProblem(f"'{first}' to '{last}' are no days: {error}.", fix="Write them as 2023-01-05.") from None
    count = (end_at - begin_at).days + 1
    if not 0 < count <= MOST_DAYS:
        raise DeclarationProblem(f"From {first} to {last} there is no day, or too many.", fix="Give the earlier day first.")
    return frozenset((begin_at + dt.timedelta(days=ahead)).isoformat() for ahead in range(count))


@contextlib.contextmanager
def _opened_product(folder: Path, settings: Settings) -> Iterator[tuple[Product, Home, Ledger, Settings]]:
    """Yield a folder's product, checked, with its home, the open ledger and the settings with the product's data folder."""
    home, file = open_home(settings), product_file(folder)
    settings = with_data(settings, file)
    with contextlib.closing(home.ledger()) as ledger:
        yield checked_product(load(file)), home, ledger, settings


@contextlib.contextmanager
def _held_workspace(
    folder: Path, settings: Settings, request: RunRequest, progress: Progress | None, wait_s: float
) -> Iterator[Workspace]:
    """Yield the workspace of a run, while no other run of the product can begin."""
    with (
        _opened_product(folder, settings) as (product, home, ledger, settings_with_data),
        hold_product(home, ledger, product, wait_s) as claim,
    ):
        yield Workspace.compose(
            product, home, settings_with_data, RunRecord(product.name, ledger, new_run_id(), check_claim=claim.check), request=request,
            reporting=RunReporting(progress or NoProgress(), registered()),
        )  # fmt: skip


def _rebuilt_days(
    tables: ProductTables, run_spark: RunSpark, days_again: frozenset[str], table: Table, rebuilt: dict[str, set[str | None] | None]
) -> set[str | None] | None:
    """Return the days of a table that would be rebuilt; None for the whole table."""
    inputs = [name for name in table.inputs if name in rebuilt]
    if not table.partition:
        return None if inputs else set()
    if any(rebuilt[name] is None for name in inputs):
        return None
    changed = {day for name in inputs for day in rebuilt[name] or ()}
    existing = delta.read_version(tables.folder(table.name)).days
    spread_days = extent_of_changes(tables, run_spark, table, changed | {day for day in days_again if day in existing})
    return spread_days.days


def _planned_table(tables: ProductTables, name: str, days: set[str | None] | None) -> PlannedTable:
    snapshot = delta.read_version(tables.folder(name))
    rows = sum(file.rows for file in snapshot.files if days is None or file.day in days)
    return {"table": name, "days": None if days is None else sorted(map(str, days)), "rows": rows}
