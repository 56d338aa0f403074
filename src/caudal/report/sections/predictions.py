"""The section on tables of predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from caudal.graph.registered import steps_where
from caudal.ledger.rows import StepRow
from caudal.report.document import detail_of
from caudal.report.figures import count_text, plural, value
from caudal.report.run_document import PredictionDocument, RunDocument
from caudal.report.section import RecordedRun, ReportedRun, ReportSection, TerminalPart
from caudal.report.step_words import state_of_table


class Predictions(ReportSection):
    """The tables of predictions."""

    name, order = "predictions", 90
    template = """\
<section id="predictions">
<h2>Predictions</h2>
<div class="scroll"><table>
<thead><tr><th>Table</th><th class="n">Rows</th><th class="n">Model version</th><th class="n">Input version</th><th class="n">Output version</th></tr></thead>
<tbody>{% for prediction in predictions %}<tr><td class="name mono" title="{{ prediction.name }}">{{ prediction.name }}</td><td class="n" data-label="Rows">{{ prediction.rows }}</td><td class="n" data-label="Model version">{{ prediction.model_version }}</td><td class="n" data-label="Input version">{{ prediction.input_version }}</td><td class="n" data-label="Output version">{{ prediction.version }}</td></tr>{% endfor %}</tbody>
</table></div>
</section>
"""

    def document(self, record: RecordedRun) -> dict[str, PredictionDocument]:
        """Return rows and versions of each table of predictions."""
        return {row["name"]: _prediction(row) for row in record.steps if row["kind"] in steps_where(section="predictions")}

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return a line for each table that was written."""
        lines = [
            prediction_line(row)
            for row in run.steps
            if row["kind"] in steps_where(section="predictions") and row["state"] == "succeeded"
        ]
        return {"predictions": lines} if lines else None

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield a line for each table that was written."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "right", "left")
        for name, prediction in document["predictions"].items():
            if state_of_table(document, name) == "succeeded":
                by = Text(f"by version {prediction['model_version']}", style="bright_black")
                rows.add_row(name, plural(prediction["rows"], "row"), by)
        if rows.row_count:
            yield TerminalPart("Predictions", [inset(rows)])


def _prediction(row: StepRow) -> PredictionDocument:
    detail = detail_of(row)
    rows = row["rows_written"] if row["rows_written"] is not None else detail.get("rows")
    return {"rows": rows or 0, "model_version": detail.get("model_version"), "version": row["output_version"]}


def prediction_line(row: StepRow) -> dict[str, object]:
    """Return the row of a table of predictions, with the versions of its model and input."""
    detail = detail_of(row)
    return {
        "name": row["name"],
        "rows": count_text(row["rows_written"]),
        "model_version": value(detail.get("model_version")),
        "input_version": value(detail.get("input_version")),
        "version": value(row["output_version"]),
    }


SECTION = Predictions()
