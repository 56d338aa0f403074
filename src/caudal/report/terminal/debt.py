"""The technical debt of a product on the terminal: counts by kind, then each finding with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from caudal.report.figures import time_text
from caudal.report.terminal.console import console, grid, heading, inset

if TYPE_CHECKING:
    from caudal.report.documents.governance import DebtDocument, DebtOfKind


def print_debt(document: DebtDocument, to: Console | None = None, *, with_history: bool = False) -> None:
    """Print the document of ``caudal debt``; with ``with_history`` also the counts of earlier times."""
    out = to or console()
    for kind in document["kinds"]:
        if kind["findings"]:
            out.print(heading(kind["title"], str(kind["count"])))
            for finding in kind["findings"]:
                lines = grid("left", "fill")
                lines.add_row(Text("•", style="yellow"), Text(finding["what"]))
                lines.add_row("", Text.assemble(("→ ", "green"), finding["fix"]))
                if finding["where"]:
                    lines.add_row("", Text(finding["where"], style="bright_black"))
                out.print(inset(lines))
            out.print()
    out.print(heading(document["product"], "technical debt"))
    rows = grid("left", "right", "left", "fill")
    for kind in document["kinds"]:
        rows.add_row(kind["kind"], count_cell(kind), change(kind["change"]), Text(beside(kind), style="bright_black"))
    out.print(inset(rows))
    if document["run_id"] is None:
        out.print(f"There is no home {document['home']}: only the declaration was looked at, and nothing was kept.")
    if with_history:
        _print_history(document, out)
    for sentence in document["exceeded"]:
        out.print(Text(f"✗ {sentence}", style="red"))


def count_cell(kind: DebtOfKind) -> Text:
    """Return the count of a kind as text, a dash where it was not measured."""
    if kind["count"] is None:
        return Text("–", style="bright_black")
    return Text(str(kind["count"]), style="yellow" if kind["count"] else "green")


def change(since: int | None) -> Text:
    """Return the change since the last time as an arrow.

    Examples
    --------
    >>> change(3).plain, change(-1).plain, change(0).plain, change(None).plain
    ('▲ 3 more', '▼ 1 fewer', '= ', '')
    """
    if since is None:
        return Text("")
    if not since:
        return Text("= ", style="bright_black")
    return Text(f"▲ {since} more", style="red") if since > 0 else Text(f"▼ {-since} fewer", style="green")


def beside(kind: DebtOfKind) -> str:
    """Return the figures of a kind and what could not be measured, as text."""
    figures = [f"{figure['group'] or figure['name'].replace('_', ' ')} {figure['value']:g}" for figure in kind["figures"]]
    return "; ".join([*([", ".join(figures)] if figures else []), *([kind["not_measured"]] if kind["not_measured"] else [])])


def _print_history(document: DebtDocument, out: Console) -> None:
    out.print()
    if not document["history"]:
        out.print("No earlier measurement.")
        return
    counted = [kind["kind"] for kind in document["kinds"]]
    for measured in document["history"]:
        counts = [f"{name} {measured['counts'][name]}" for name in counted if measured["counts"].get(name)]
        out.print(f"{time_text(measured['at'])}  {', '.join(counts) or 'none'}")
