"""The service levels of products: what is promised, what was measured, what is left of the error budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caudal.declarations.duration import text
from caudal.report.figures import duration
from caudal.report.terminal.console import console, grid, heading, inset
from caudal.service_levels.words import percent_text, promised

if TYPE_CHECKING:
    from caudal.report.documents.service_levels import ObjectiveDocument, ServiceLevelsDocument

DAYS = 7
COLUMNS = ("", "promised", "measured", "left", "burn", "days", "")
WIDTHS = (9, 13, 7, 6, 9, DAYS, None)
STYLES = {"met": "green", "burning": "yellow", "breached": "red", "no figures": "bright_black"}


def print_service_levels(document: ServiceLevelsDocument, to: Console | None = None) -> None:
    """Print the document of ``caudal sla``."""
    out = to or console()
    if not any(product["service_levels"] for product in document["products"]):
        out.print(
            'No service level is declared. Declare one with product.sla(table, cd.sla(fresh="2 hours")), and run the product.'
        )
        return
    for product in document["products"]:
        if not product["service_levels"]:
            continue
        out.print(heading(product["product"], "service levels"))
        for level in product["service_levels"]:
            hours = f", {level['hours']}" if level["hours"] else ""
            out.print(Text.assemble((level["subject"], "bold"), (f"  over {text(level['over_s'])}{hours}", "bright_black")))
            out.print(inset(_objectives(level["objectives"], document["at"])))


def _objectives(objectives: list[ObjectiveDocument], now: float) -> Table:
    rows = grid("left", "left", "right", "right", "right", "left", "fill")
    rows.show_header = True
    for column, name, width in zip(rows.columns, COLUMNS, WIDTHS, strict=True):
        column.header, column.min_width = Text(name, style="bright_black"), width
    for objective in objectives:
        rows.add_row(*_cells(objective, now))
    return rows


def note_of(objective: ObjectiveDocument, now: float) -> str:
    """Return the state of an objective in words."""
    coming = objective["coming"]
    if objective["late"]:
        return f"late: {duration(round(objective['age_s'] or 0.0))} old"
    if coming is not None:
        return f"will be late in {duration(round(max(coming['due_at'] - now, 0.0)))}; a run usually takes {duration(coming['expected_s'])}"
    return objective["state"]


def _cells(objective: ObjectiveDocument, now: float) -> list[str | Text]:
    level, left = objective["level"], objective["budget_left"]
    style = STYLES[objective["state"]]
    note = note_of(objective, now)
    return [
        objective["objective"],
        promised(objective["objective"], objective["limit"], objective["target"]),
        Text("–" if level is None else percent_text(level), style=style),
        Text("–" if left is None or level is None else percent_text(left), style=style),
        Text(" ").join(Text(f"{burn['long']:.1f}", style="yellow" if burn["alerts"] else "") for burn in objective["burn"]),
        days_text([day["level"] for day in objective["history"][-DAYS:]], objective["target"]),
        Text(note, style=style if note == objective["state"] else "yellow"),
    ]


def days_text(levels: list[float | None], target: float) -> Text:
    """Return a sign for each day: ``█`` at the target or above, ``▄`` below it, ``▁`` below half of what it allows, ``·`` without figures.

    Examples
    --------
    >>> days_text([None, 1.0, 0.985, 0.5], target=0.99).plain
    '·█▄▁'
    """
    signs = Text()
    for level in levels:
        if level is None:
            signs.append("·", style="bright_black")
        elif level >= target:
            signs.append("█", style="green")
        else:
            signs.append("▄" if level >= 1 - 2 * (1 - target) else "▁", style="red")
    return signs
