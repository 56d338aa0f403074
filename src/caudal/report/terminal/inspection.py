"""The document of ``caudal inspect`` on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caudal.inspection.shown import table_columns, table_texts
from caudal.report.figures import time_text
from caudal.report.terminal.console import console, grid, heading, inset

if TYPE_CHECKING:
    from caudal.report.documents.inspection import InspectDocument, InspectedFactDocument

_MOST_ROWS, _MOST_TEXTS = 40, 12


def print_inspection(document: InspectDocument, to: Console | None = None) -> None:
    """Print the facts of each section, each with how it was found out; long tables and lists are cut."""
    out = to or console()
    for section in document["sections"]:
        out.print(heading(section["title"]))
        lines = grid("left", "fill", "fill")
        for fact in section["facts"]:
            if _is_table(fact):
                out.print(inset(lines))
                _print_table(fact, out)
                lines = grid("left", "fill", "fill")
            else:
                lines.add_row(*_cells(fact))
        out.print(inset(lines))
        out.print()
    facts = [fact for section in document["sections"] for fact in section["facts"]]
    missing = sum(not fact["found"] for fact in facts)
    out.print(
        Text.assemble(
            ("✓", "green"), f" {document['host']}, {time_text(document['at'])}: {len(facts) - missing} facts found, {missing} not, in {document['took_s']:.1f} s"
        )
    )  # fmt: skip


def _is_table(fact: InspectedFactDocument) -> bool:
    value = fact["value"]
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _cells(fact: InspectedFactDocument) -> tuple[Text, Text, Text]:
    if not fact["found"]:
        return Text(fact["label"]), Text("not found", style="yellow"), Text(fact["why_not"] or "", style="bright_black")
    text = fact["text"]
    if text is None:
        texts = [row[0] for row in table_texts(fact)[1]]
        more = f" and {len(texts) - _MOST_TEXTS} more (--json)" if len(texts) > _MOST_TEXTS else ""
        text = ", ".join(texts[:_MOST_TEXTS]) + more
    return Text(fact["label"]), Text(text), Text(fact["how"] or "", style="bright_black")


def _print_table(fact: InspectedFactDocument, out: Console) -> None:
    columns, rows = table_texts(fact)
    out.print(inset(Text.assemble(fact["label"], "  ", (fact["how"] or "", "bright_black"))))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bright_black")
    values = fact["value"]
    assert isinstance(values, list)
    for column, name in zip(columns, table_columns(values), strict=True):
        is_number = all(isinstance(row.get(name), int | float | None) for row in values)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*map(Text, row))
    out.print(inset(table, 4))
    if len(rows) > _MOST_ROWS:
        out.print(inset(Text(f"and {len(rows) - _MOST_ROWS} more (--json)", style="bright_black"), 4))
