"""The section with the table of steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from caudal.ledger.rows import StepRow
from caudal.report.document import detail_of
from caudal.report.figures import count_text, duration
from caudal.report.run_document import RunDocument, StepDocument
from caudal.report.section import RecordedRun, ReportedRun, ReportSection, TerminalPart
from caudal.report.step_words import days, step_note


class Steps(ReportSection):
    """The table of steps; in the terminal, those that were not started."""

    name, order, terminal_order = "steps", 40, 200
    template = """\
<section id="steps">
<h2>Steps</h2>
{% if steps %}
<div class="scroll"><table>
<thead><tr><th>Step</th><th>State</th><th class="n">Time</th><th class="n">Rows read</th><th class="n">Written</th><th class="n">Quarantined</th><th class="n">Days written</th><th>Note</th></tr></thead>
<tbody>
{% for step in steps %}
<tr{% if step.state in ("skipped", "waiting") %} class="idle"{% endif %}><td class="name mono" title="{{ step.step }}">{{ step.step }}</td><td>{{ badge(step.state) }}</td><td class="n" data-label="Time">{{ step.seconds }}</td><td class="n" data-label="Rows read">{{ step.read }}</td><td class="n" data-label="Written">{{ step.written }}</td><td class="n{% if step.aside %} aside{% endif %}" data-label="Quarantined">{{ step.quarantined }}</td><td class="n" data-label="Days written">{{ step.partitions }}</td><td class="long">{{ step.why or "" }}{% if step.days %}{% if step.why %}<br>{% endif %}<span class="soft">{{ step.days }}</span>{% endif %}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}<p class="soft">No step had ended.</p>{% endif %}
</section>
"""

    def document(self, record: RecordedRun) -> list[StepDocument]:
        """Return how each step ended."""
        return [_step(row) for row in record.steps]

    def content(self, run: ReportedRun) -> Mapping[str, object]:
        """Return a line for each step."""
        return {"steps": [step_line(row) for row in run.steps]}

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the table."""
        return [("steps", "Steps")]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield the steps that were not started."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "fill")
        for step in document["steps"]:
            if step["state"] == "waiting":
                rows.add_row(step["step"], Text(step["why"] or "", style="bright_black"))
        if rows.row_count:
            yield TerminalPart("Not started", [inset(rows)])


def step_line(row: StepRow) -> dict[str, object]:
    """Return a step's row of the table."""
    partitions = row["partitions"]
    return {
        "step": row["step"],
        "state": row["state"],
        "seconds": duration(row["seconds"]) if row["state"] not in ("skipped", "waiting") else "",
        "read": _figure(row["rows_read"]),
        "written": _figure(row["rows_written"]),
        "quarantined": _figure(row["rows_quarantined"]),
        "aside": bool(row["rows_quarantined"]),
        "partitions": _figure(len(partitions)) if partitions is not None else "",
        "days": days(partitions) if partitions else None,
        "why": step_note(row),
    }


def _step(row: StepRow) -> StepDocument:
    note = detail_of(row).get("why") or ((row["error"] or {}).get("what") if row["state"] == "failed" else None)
    because = detail_of(row).get("because")
    document: StepDocument = {"step": row["step"], "state": row["state"], "seconds": row["seconds"] or 0.0, "why": note}
    return {**document, "because": because} if because else document


def _figure(number: int | None) -> str:
    return "" if number is None else count_text(number)


SECTION = Steps()
