"""An audit on the terminal: one table for each grouping, and the guide's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caudal.report.audits import name_of_group
from caudal.report.figures import count_text
from caudal.report.sections.audits import text_of, title_of
from caudal.report.terminal.console import console, grid, heading, inset

if TYPE_CHECKING:
    from caudal.report.documents import AuditDocument, AuditedCandidate, FigureDocument, GroupingDocument, GuideDocument

METRICS_A_TABLE = 2
"""The number of metrics with intervals that fit side by side into 80 columns, beside groups of several columns."""


def print_audit(document: AuditDocument, to: Console | None = None) -> None:
    """Print the chosen candidate's figures by group, and the comparisons of every candidate."""
    out = to or console()
    chosen = next(candidate for candidate in document["candidates"] if candidate["chosen"])
    out.print(heading(f"{document['product']} {document['model']} version {document['version']}: {chosen['candidate']}"))
    positive = f"positive class {document['positive']}; " if document["positive"] is not None else ""
    out.print(
        inset(
            Text(
                f"{count_text(chosen['rows'])} test rows of all folds; {positive}in brackets {chosen['interval']}",
                style="bright_black",
            )
        )
    )
    for note in chosen["notes"]:
        out.print(inset(Text(note, style="yellow")))
    for place, grouping in enumerate(chosen["groupings"]):
        out.print()
        out.print(heading(f"By {name_of_group(grouping['by'])}"))
        names = list(dict.fromkeys(name for group in grouping["groups"] for name in group["figures"]))
        for start in range(0, len(names), METRICS_A_TABLE):
            out.print(inset(_groups(grouping, document["min_rows"], names[start : start + METRICS_A_TABLE])))
            out.print()
        if grouping["between"]:
            out.print(inset(_between(document["candidates"], place)))


def print_guide(document: GuideDocument, to: Console | None = None) -> None:
    """Print the metric that fits, the reason, and the line that declares it."""
    out = to or console()
    out.print(Text(document["title"], style="bold"))
    out.print(document["why"])
    out.print()
    out.print(Text(document["line"], style="green"))


def _groups(grouping: GroupingDocument, min_rows: int, names: Sequence[str]) -> Table:
    """Return a table of some metrics: groups as rows, those with too few rows in grey."""
    rows = grid("left", "right", *("right" for _ in names), "fill")
    rows.add_row(*(Text(title, style="bright_black") for title in ("", "rows", *map(title_of, names), "")))
    for group in grouping["groups"]:
        figures = [group["figures"].get(name) for name in names]
        style = "bright_black" if group["small"] else ""
        cells = [
            Text(_with_interval(figure), style=style or ("bold yellow" if figure and figure["differs"] else ""))
            for figure in figures
        ]
        number = f"{count_text(group['rows'])}{f', under {min_rows}' if group['small'] else ''}"
        rows.add_row(
            Text(name_of_group(group["group"].values()), style=style or "bold"), Text(number, style="bright_black"), *cells, ""
        )
    return rows


def _between(candidates: Sequence[AuditedCandidate], place: int) -> Table:
    rows = grid("left", *("right" for _ in candidates), "fill")
    rows.add_row(Text("Between groups", style="bold"), *(Text(candidate["candidate"], style="bold" if candidate["chosen"] else "") for candidate in candidates), "")  # fmt: skip
    for name in dict.fromkeys(name for candidate in candidates for name in candidate["groupings"][place]["between"]):
        cells = [Text(text_of(candidate["groupings"][place]["between"].get(name))) for candidate in candidates]
        rows.add_row(Text(title_of(name), style="bright_black"), *cells, "")
    return rows


def _with_interval(figure: FigureDocument | None) -> str:
    if figure is None or figure["low"] is None or figure["high"] is None:
        return text_of(figure)
    return f"{text_of(figure)} ({figure['low']:.3f}–{figure['high']:.3f})"
