"""``caudal parity``: what a stream has published, beside the same function's rows of all captured samples at once."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from caudal.commands.parity_join import compared
from caudal.declarations.join import Join
from caudal.declarations.settings import Settings
from caudal.declarations.statistics import Statistics
from caudal.engine.exact import in_any_magnitude
from caudal.errors import NotThere
from caudal.graph.load import load, product_file, with_data
from caudal.graph.registered import of_kind
from caudal.runtime.lifecycle import new_run_id
from caudal.runtime.opening import checked, opened
from caudal.runtime.table_frame import frame_of
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables.frames import arrow

if TYPE_CHECKING:
    from caudal.report.documents import ParityDocument, TableParity


_SHOWN = 5


def parity(folder: Path, settings: Settings) -> ParityDocument:
    """Return, for each table that a stream publishes, how its rows compare with those of a run over the capture.

    Rows of windows that the stream has not closed yet, and of samples that came too late for it, cannot be in both; they are counted apart.
    """
    home, file = opened(settings), product_file(folder)
    settings = with_data(settings, file)
    with contextlib.closing(home.ledger()) as ledger:
        product = checked(load(file))
        ws = Workspace(product, home, ledger, settings, run_id=new_run_id())
        tables = of_kind(product, "statistics", "join")
        if not tables:
            raise NotThere(
                f"Product '{product.name}' has no table that a stream publishes.",
                fix="Declare one with product.statistics(...) or product.join(...).",
            )
        found = {table.name: _compared(ws, table) for table in tables if ws.version(table.name) is not None}
        if not found:
            raise NotThere(
                f"The streams of product '{product.name}' have published nothing yet.", fix=f"Run: caudal stream {folder}"
            )
    return {"product": product.name, "equal": all(one["equal"] for one in found.values()), "tables": found}


def _compared(ws: Workspace, table: Statistics | Join) -> TableParity:
    if isinstance(table, Join):
        return compared(ws, table)
    streamed = _plain(arrow(delta.read(ws.folder(table.name))))
    rows = in_any_magnitude(lambda: frame_of(ws, table, {table.inputs[0]: ws.frame(table.inputs[0])}).toArrow())
    again = _plain(rows).select(streamed.column_names)
    keys = ["device", "sensor", "window_start"]
    here, there = (_by_key(one, keys) for one in (streamed, again))
    last = max((key[2] for key in here), default=None)
    differing = [key for key in here if key in there and here[key] != there[key]]
    lost = [key for key in there if key not in here and last is not None and key[2] <= last]
    invented = [key for key in here if key not in there]
    return {
        "equal": not (differing or lost or invented), "rows": len(here), "rows_of_run": len(there), "differing": len(differing),
        "only_run": len(lost), "only_stream": len(invented), "not_closed_yet": len(there) - len(lost) - (len(here) - len(invented)),
        "twice": len(streamed) - len(here),
        "examples": [
            {"key": [str(column) for column in key], "stream": str(here.get(key)), "run": str(there.get(key))}
            for key in (*differing, *lost, *invented)[:_SHOWN]
        ],
    }  # fmt: skip


def _plain(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in table.column_names if name.startswith("_")])


def _by_key(table: pa.Table, keys: list[str]) -> dict[tuple[Any, ...], tuple[object, ...]]:
    columns = table.to_pydict()
    rest = [name for name in table.column_names if name not in keys]
    found = {}
    for at in range(len(table)):
        values = tuple(tuple(value) if isinstance(value := columns[name][at], list) else value for name in rest)
        found[tuple(columns[name][at] for name in keys)] = values
    return found
