"""Rows and documents of any shape on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from caudal.report.figures import time_text, value
from caudal.report.terminal.console import console, grid, heading, inset, mark

# Only outcomes of gates and decisions are coloured.
_WORDS = {
    "promoted": "green",
    "champion": "green",
    "refused": "yellow",
    "rolled back": "yellow",
    "shadow": "cyan",
    "canary": "cyan",
}


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str], to: Console | None = None) -> None:
    """Print rows under their column names; numbers to the right, and long text folded."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        numbers = all(isinstance(row.get(column), int | float | None) and not isinstance(row.get(column), bool) for row in rows)
        drawn.add_column(column.replace("_", " "), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(row.get(column), column) for column in columns))
    (to or console()).print(drawn)


def print_document(document: Mapping[str, object], to: Console | None = None) -> None:
    """Print a document: single values first, then a section for each mapping and list."""
    out = to or console()
    title = " ".join(str(document[name]) for name in ("product", "model") if document.get(name))
    if document.get("version") is not None:
        title += f" version {document['version']}"
    if title:
        out.print(heading(title.strip()))
    simple_rows = grid("left", "fill")
    for name, item in document.items():
        if not isinstance(item, Mapping | list | tuple) and name not in ("product", "model", "version"):
            simple_rows.add_row(Text(name.replace("_", " "), style="bright_black"), _cell(item, name))
    if simple_rows.row_count:
        out.print(inset(simple_rows))
    for name, item in document.items():
        if isinstance(item, Mapping | list | tuple) and item:
            out.print()
            out.print(heading(name.replace("_", " ").capitalize()))
            _part(name, item, document, out)


def _part(name: str, part: Any, whole: Mapping[str, Any], out: Console) -> None:
    if name == "gates":
        out.print(inset(gates(part)))
    elif isinstance(part, Mapping):
        rows = grid("left", "fill")
        for key, item in part.items():
            rows.add_row(Text(str(key), style="bright_black"), _cell(item, key))
        out.print(inset(rows))
    elif all(isinstance(item, Mapping) for item in part):
        # Leave out columns that are empty in every row, repeat the card's own value, or hold documents.
        keys = dict.fromkeys(key for item in part for key in item if key != "id")
        columns = [
            key
            for key in keys
            if any(_simple(item.get(key)) for item in part) and any(item.get(key) != whole.get(key) for item in part)
        ]
        table(part, columns, out)
    else:
        out.print(inset(Text(value(part))))


def gates(results: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of gates: whether each passed, its name, its message or figures."""
    rows = grid("left", "left", "fill")
    for gate in results:
        rows.add_row(
            mark("succeeded" if gate.get("passed") else "failed"),
            Text(str(gate.get("gate"))),
            Text(gate.get("message") or value(gate.get("figures"))),
        )
    return rows


def _simple(item: object) -> bool:
    return item is not None and not isinstance(item, Mapping | list | tuple)


def _cell(item: object, name: str = "") -> Text:
    if isinstance(item, float) and (name == "at" or name.endswith("_at")):
        return Text(time_text(item))
    if isinstance(item, list | tuple) and item and all(isinstance(gate, Mapping) and "gate" in gate for gate in item):
        return Text(", ".join(f"{'✓' if gate.get('passed') else '✗'} {gate['gate']}" for gate in item))
    return Text(value(item), style=_WORDS.get(item, "") if isinstance(item, str) else "")
