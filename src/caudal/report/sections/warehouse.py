"""The section on publications to a warehouse."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.graph.registered import steps_where
from caudal.ledger.rows import StepRow
from caudal.report.document import detail_of
from caudal.report.figures import count_text, plural
from caudal.report.run_document import PublicationDocument, RunDocument
from caudal.report.section import RecordedRun, ReportSection, TerminalPart


class WarehouseSection(ReportSection):
    """The published tables and stars, in the document and in the terminal; on the page the table of steps shows them."""

    name, order = "warehouse", 95

    def document(self, record: RecordedRun) -> dict[str, PublicationDocument]:
        """Return place, rows and version of each publication."""
        return {row["name"]: _publication(row) for row in record.steps if row["kind"] in steps_where(section="warehouse")}

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield a line for each publication."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "right", "fill")
        states = {step["step"]: step["state"] for step in document["steps"]}
        for name, publication in document.get("warehouse", {}).items():
            if states.get(f"publish:{name}") == "succeeded":
                zeros = "".join(
                    f", zero characters taken out of {count_text(number)} texts of {column}"
                    for column, number in publication["zeros"].items()
                )
                rows.add_row(
                    publication["place"],
                    plural(publication["rows"], "row"),
                    Text(f"{publication['note']}{zeros}", style="bright_black"),
                )
        if rows.row_count:
            yield TerminalPart("Warehouse", [inset(rows)])


def _publication(row: StepRow) -> PublicationDocument:
    detail = detail_of(row)
    return {
        "place": detail.get("place"),
        "rows": row["rows_written"] or 0,
        "version": row["output_version"],
        "days": None if row["partitions"] is None else len(row["partitions"]),
        "note": detail.get("note"),
        "zeros": detail.get("zeros", {}),
    }


SECTION = WarehouseSection()
