"""The result of ``caudal verify`` on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from caudal.report.figures import duration, plural, size
from caudal.report.terminal.console import console, mark

if TYPE_CHECKING:
    from caudal.report.documents.governance import VerifyDocument

_NAMES = {"raw": "raw file", "files": "data file", "tables": "table", "models": "model version", "kept": "fitted thing"}


def verification(document: VerifyDocument, to: Console | None = None) -> None:
    """Print the faults, each with its fix, and what was checked."""
    out = to or console()
    for fault in document["faults"]:
        out.print(Text.assemble(mark("failed"), f" {fault['what']}"), soft_wrap=True)
        out.print(Text(f"  {fault['mend']}", style="bright_black"), soft_wrap=True)
    for note in document["notes"]:
        out.print(Text.assemble(mark("waiting"), f" {note}"), soft_wrap=True)
    checked = ["the ledger", *(plural(count, _NAMES[kind]) for kind, count in document["checked"].items() if kind in _NAMES)]
    totals = f" {document['home']}: {', '.join(checked)}; {size(document['bytes'])} read in {duration(document['seconds'])}; "
    faults = document["faults"]
    out.print(
        Text.assemble(
            mark("failed" if faults else "succeeded"), totals, plural(len(faults), "fault") if faults else "nothing wrong"
        ),
        soft_wrap=True,
    )
