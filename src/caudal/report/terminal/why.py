"""Why each step ran or was skipped the last time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from caudal.report.figures import age
from caudal.report.terminal.console import console, grid, heading, inset, mark

if TYPE_CHECKING:
    from caudal.report.documents.status import WhyDocument


def print_why(document: WhyDocument, to: Console | None = None, now: float | None = None) -> None:
    """Print the document of ``caudal status --why``: ``{home, products: [{product, steps: [{step, state, at, why, made_of}]}]}``."""
    out = to or console()
    if not document["products"]:
        out.print(f"No product has run in {document['home']}. Run one with: caudal run FOLDER")
        return
    at = time.time() if now is None else now
    for product in document["products"]:
        out.print(heading(product["product"], "why steps ran or rested the last time"))
        rows = grid("left", "left", "right", "fill")
        for step in product["steps"]:
            when = age(None if step["at"] is None else at - step["at"])
            rows.add_row(mark(step["state"]), step["step"], Text(when, style="bright_black"), step["why"])
        out.print(inset(rows))
