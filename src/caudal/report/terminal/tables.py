"""Rows and documents of any shape, shown plainly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from caudal.report.figures import moment, value
from caudal.report.terminal.console import console, grid, heading, inset, mark

# A gate's or a candidate's outcome is worth a colour; other words are not.
_WORDS = {"promoted": "green", "champion": "green", "refused": "yellow", "rolled back": "yellow"}


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str], to: Console | None = None) -> None:
    """Print rows under their column names; numbers to the right, and long text folded."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        numbers = all(isinstance(row.get(column), int | float | None) and not isinstance(row.get(column), bool) for row in rows)
        shown.add_column(column.replace("_", " "), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(row.get(column), column) for column in columns))
    (to or console()).print(shown)


def card(document: Mapping[str, object], to: Console | None = None) -> None:
    """Print a document: plain values first, then one section for each part of it."""
    out = to or console()
    title = " ".join(str(document[name]) for name in ("product", "model") if document.get(name))
    if document.get("version") is not None:
        title += f" version {document['version']}"
    if title:
        out.print(heading(title.strip()))
    plain = grid("left", "fill")
    for name, one in document.items():
        if not isinstance(one, Mapping | list | tuple) and name not in ("product", "model", "version"):
            plain.add_row(Text(name.replace("_", " "), style="bright_black"), _cell(one, name))
    if plain.row_count:
        out.print(inset(plain))
    for name, one in document.items():
        if isinstance(one, Mapping | list | tuple) and one:
            out.print()
            out.print(heading(name.replace("_", " ").capitalize()))
            _part(name, one, document, out)


def _part(name: str, part: Any, whole: Mapping[str, Any], out: Console) -> None:
    if name == "gates":
        out.print(inset(gates(part)))
    elif isinstance(part, Mapping):
        rows = grid("left", "fill")
        for key, one in part.items():
            rows.add_row(Text(str(key), style="bright_black"), _cell(one, key))
        out.print(inset(rows))
    elif all(isinstance(one, Mapping) for one in part):
        # Columns that say nothing in any row, repeat the card's own, or hold documents would crowd out the rest.
        keys = dict.fromkeys(key for one in part for key in one if key != "id")
        columns = [
            key
            for key in keys
            if any(_simple(one.get(key)) for one in part) and any(one.get(key) != whole.get(key) for one in part)
        ]
        table(part, columns, out)
    else:
        out.print(inset(Text(value(part))))


def gates(found: Sequence[Mapping[str, Any]]) -> Table:
    """Return gates, one a line: passed or not, its name, its figures in a sentence."""
    rows = grid("left", "left", "fill")
    for one in found:
        rows.add_row(
            mark("succeeded" if one.get("passed") else "failed"),
            Text(str(one.get("gate"))),
            Text(one.get("message") or value(one.get("figures"))),
        )
    return rows


def _simple(of: object) -> bool:
    return of is not None and not isinstance(of, Mapping | list | tuple)


def _cell(of: object, name: str = "") -> Text:
    if isinstance(of, float) and (name == "at" or name.endswith("_at")):
        return Text(moment(of))
    if isinstance(of, list | tuple) and of and all(isinstance(one, Mapping) and "gate" in one for one in of):
        return Text(", ".join(f"{'✓' if one.get('passed') else '✗'} {one['gate']}" for one in of))
    return Text(value(of), style=_WORDS.get(of, "") if isinstance(of, str) else "")
