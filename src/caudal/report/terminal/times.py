"""How long steps took: the usual duration, its trend, and each execution as a bar character."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from caudal.report.figures import count_text, duration, time_text
from caudal.report.terminal.console import console, grid, heading

if TYPE_CHECKING:
    from caudal.report.documents.runs import TimesDocument, UsualDocument

STROKES = 12  # executions shown of each step
_STROKES = "▁▂▃▄▅▆▇█"


def print_times(document: TimesDocument, to: Console | None = None, *, with_history: bool = False) -> None:
    """Print the document of ``caudal times``; with ``with_history`` also each execution of its first step."""
    out = to or console()
    if not document["steps"]:
        out.print(f"No step of '{document['product']}' has been done yet.")
        return
    out.print(heading(document["product"], "how long steps take"))
    rows = grid("left", "right", "right", "right", "left", "left")
    rows.show_header = True
    for column, name in zip(rows.columns, ("step", "last", "usual", "slow above", "trend", "history"), strict=True):
        column.header = Text(name, style="bright_black")
    for step in document["steps"]:
        usual = step["usual"]
        slow = usual is not None and step["last_s"] > usual["limit_s"]
        rows.add_row(
            step["step"],
            Text(duration(step["last_s"]), style="yellow" if slow else ""),
            duration(usual["expected_s"]) if usual else "–",
            Text(duration(usual["limit_s"]) if usual else "–", style="bright_black"),
            trend(usual),
            strokes([execution["seconds"] for execution in step["history"][-STROKES:]]),
        )
    out.print(rows)
    if with_history:
        out.print()
        for execution in document["steps"][0]["history"]:
            rows_read = f"  {count_text(execution['rows'])} rows" if execution["rows"] is not None else ""
            out.print(
                f"{time_text(execution['at'])}  {duration(execution['seconds']):>9}{rows_read}  [bright_black]{execution['run_id']}[/]"
            )


def trend(usual: UsualDocument | None) -> Text:
    """Return the trend of a duration in words.

    Examples
    --------
    >>> trend({"trend": 0.021}).plain, trend({"trend": 0.0}).plain, trend(None).plain
    ('+2.1 % each time', 'steady', '–')
    """
    if usual is None:
        return Text("–", style="bright_black")
    if not usual["trend"]:
        return Text("steady", style="bright_black")
    return Text(f"{usual['trend']:+.1%} each time".replace("%", " %"), style="yellow" if usual["trend"] > 0 else "green")


def strokes(values: Sequence[float]) -> str:
    """Return one bar character for each value, scaled to the greatest.

    Examples
    --------
    >>> strokes([1.0, 2.0, 4.0])
    '▂▄█'
    """
    most = max(values, default=0.0) or 1.0
    return "".join(_STROKES[max(0, min(len(_STROKES), round(value / most * len(_STROKES))) - 1)] for value in values)
