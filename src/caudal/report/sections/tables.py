"""The section on rows read, written and quarantined by table."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.graph.registered import steps_where
from caudal.ledger.rows import StepRow
from caudal.report.document import detail_of
from caudal.report.figures import count_text
from caudal.report.run_document import RunDocument, TableDocument
from caudal.report.section import RecordedRun, ReportSection, TerminalPart
from caudal.report.step_words import state_of_table


class Tables(ReportSection):
    """The rows of each table, in the document and in the terminal; on the page the table of steps shows them."""

    name, order = "tables", 20

    def document(self, record: RecordedRun) -> dict[str, TableDocument]:
        """Return each table's rows, days and reasons."""
        return {row["name"]: _table(row) for row in record.steps if row["kind"] in steps_where(section="tables")}

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield a line for each table that was written."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "right", "right", "right", "right", "right")
        rows.show_header = True
        for column, name in zip(rows.columns, ("", "read", "written", "quarantined", "days", "version"), strict=True):
            column.header = Text(name, style="bright_black")
        for name, table in document["tables"].items():
            if state_of_table(document, name) not in ("succeeded", None):
                continue
            quarantined = table["rows_quarantined"]
            rows.add_row(
                name,
                count_text(table["rows_read"]),
                count_text(table["rows_written"]),
                Text(count_text(quarantined), style="yellow" if quarantined else "bright_black"),
                "all" if table["partitions_written"] is None else count_text(table["partitions_written"]),
                count_text(table["version"]),
            )
        if rows.row_count:
            yield TerminalPart("Tables", [inset(rows)])


def _table(row: StepRow) -> TableDocument:
    return {
        "rows_read": row["rows_read"] or 0,
        "rows_written": row["rows_written"] or 0,
        "rows_quarantined": row["rows_quarantined"] or 0,
        "version": row["output_version"],
        "partitions_written": None if row["partitions"] is None and row["state"] == "succeeded" else len(row["partitions"] or ()),
        "reasons": detail_of(row).get("reasons", {}),
    }


SECTION = Tables()
