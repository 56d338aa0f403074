"""A preview of a table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from caudal.report.terminal.console import console, heading
from caudal.report.terminal.tables import table

if TYPE_CHECKING:
    from caudal.report.documents.preview import PreviewDocument

SHOWN = 10


def print_preview(document: PreviewDocument, to: Console | None = None) -> None:
    """Print the first rows, the first rows that would be set aside, and the expectations that are broken."""
    out = to or console()
    inputs = ", ".join(f"{count:,} rows of {name}" for name, count in document["inputs"].items())
    out.print(heading(document["table"], f"{len(document['rows']):,} rows from {inputs}; by {document['engine']}"))
    if document["rows"]:
        table(document["rows"][:SHOWN], list(document["rows"][0]), out)
    if document["quarantined"]:
        out.print()
        out.print(heading(f"{len(document['quarantined']):,} rows would be set aside"))
        table(document["quarantined"][:SHOWN], ["_reasons", "_raw"], out)
    for check in document["checks"]:
        if check["broken"]:
            out.print(Text.assemble(("✗ ", "yellow"), f"{check['expectation']}: {check['message']}"))
    out.print("Nothing was published.")
