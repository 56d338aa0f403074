"""The monitors in the terminal: a line for each figure, with its history as bar characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from caudal.report.figures import number_text, plural
from caudal.report.terminal.console import console, grid, heading
from caudal.report.terminal.times import strokes

if TYPE_CHECKING:
    from caudal.report.documents.monitors import MonitorDocument, MonitoredFigure, MonitorsDocument

STROKES = 14
STYLES = {"alarm": "bold red", "outside": "yellow", "inside": "green", "learning": "bright_black"}


def monitors(document: MonitorsDocument, to: Console | None = None) -> None:
    """Print the document of ``caudal monitor``."""
    out = to or console()
    for place, monitor in enumerate(document["monitors"]):
        if place:
            out.print()
        _monitor(out, document["product"], monitor)


def _monitor(out: Console, product: str, monitor: MonitorDocument) -> None:
    versions = [figure["reference"] for figure in monitor["figures"] if figure["reference"] is not None]
    against = f"what version {max(versions)} learned from" if versions else "the windows before"
    compared = (
        f"{plural(monitor['windows'], 'window')}, compared with {against}" if monitor["figures"] else "nothing to compare yet"
    )
    out.print(heading(f"{product} {monitor['monitor']}", compared))
    if not monitor["figures"]:
        out.print("  All windows so far belong to the reference; later ones will be compared with them.", style="bright_black")
    rows = grid("fill", "right", "left", "left", "left")
    rows.show_header = True
    names = ("figure", "newest", "expected", "state", "history")
    for header, name in zip(rows.columns, names, strict=True):
        header.header = Text(name, style="bright_black")
    for figure in monitor["figures"]:
        rows.add_row(
            figure["figure"], number_text(figure["value"]), Text(expected(figure), style="bright_black"),
            Text(figure["state"], style=STYLES.get(figure["state"], "")),
            strokes([max(window["value"], 0.0) for window in figure["history"][-STROKES:]]),
        )  # fmt: skip
    if monitor["figures"]:
        for column in rows.columns[1:4]:  # a number that is cut off is another number: the names are folded where room is short
            column.min_width = max(len(str(cell)) for cell in (column.header, *column.cells))
        out.print(rows)
    for name, reason in monitor["left_out"].items():
        out.print(f"  {name} is not watched: {reason}.", style="bright_black")


def expected(figure: MonitoredFigure) -> str:
    """Return the range of an expected figure.

    Examples
    --------
    >>> expected({"low": None, "high": 0.25}), expected({"low": 90.0, "high": 120.0}), expected({"low": None, "high": None})
    ('to 0.25', '90 to 120', 'learning')
    """
    low, high = figure["low"], figure["high"]
    if low is not None and high is not None:
        return f"{number_text(low)} to {number_text(high)}"
    if high is not None:
        return f"to {number_text(high)}"
    return "learning" if low is None else f"from {number_text(low)}"
