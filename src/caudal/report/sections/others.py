"""The sections on nodes whose kind another package brings and whose steps name their own part of the document."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.graph.registered import kind_of_step, step_kind
from caudal.report.figures import plural
from caudal.report.run_document import RunDocument
from caudal.report.section import RecordedRun, ReportSection, TerminalPart

PARTS_OF_CAUDAL = ("landed", "tables", "models", "predictions", "warehouse", "audits", "monitors")


class Others(ReportSection):
    """A line for each such node, grouped by the part that its step names."""

    name, order, terminal_order = "others", 97, 97

    def document(self, record: RecordedRun) -> dict[str, dict[str, object]] | None:
        """Return the results of the steps, by part; None where a run has no such step."""
        parts: dict[str, dict[str, object]] = {}
        for row in record.steps:
            part = step_kind(row["kind"]).section
            if part is not None and part not in PARTS_OF_CAUDAL:
                parts.setdefault(part, {})[row["name"]] = kind_of_step(row["kind"]).step_document(row)
        return parts or None

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield a part for each group with a node that succeeded in this run."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        states = {step["step"].partition(":")[2]: step["state"] for step in document["steps"]}
        for part, lines in document.get("others", {}).items():
            rows = grid("left", "right", "fill")
            for name, line in lines.items():
                if states.get(name) == "succeeded":
                    number, note = line.get("rows"), line.get("note")
                    words = plural(number, "row") if isinstance(number, int) else ""
                    rows.add_row(name, words, Text(str(note or ""), style="bright_black"))
            if rows.row_count:
                yield TerminalPart(part.capitalize(), [inset(rows)])


SECTION = Others()
