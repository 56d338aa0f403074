"""The section on expectations and quarantined rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from caudal.ledger.records import checks
from caudal.ledger.rows import CheckRow, StepRow
from caudal.report import charts
from caudal.report.figures import count_text, plural, share_text
from caudal.report.run_document import RunDocument
from caudal.report.section import ReportedRun, ReportSection, TerminalPart


class Expectations(ReportSection):
    """Each expectation's outcome, and the quarantined rows by reason."""

    name, order = "expectations", 60
    template = """\
<section id="expectations">
<h2>Expectations</h2>
{% if checks %}
<div class="scroll"><table>
<thead><tr><th>Table</th><th>Expectation</th><th>If broken</th><th class="n">Rows</th><th class="n">Broken</th><th class="n">Share</th><th>Outcome</th><th>Note</th></tr></thead>
<tbody>
{% for check in checks %}
<tr><td class="name mono" title="{{ check.table }}">{{ check.table }}</td><td class="mono long">{{ check.expectation }}</td><td data-label="If broken">{{ check.action }}</td><td class="n" data-label="Rows">{{ check.rows }}</td><td class="n" data-label="Broken">{{ check.broken }}</td><td class="n" data-label="Share">{{ check.share }}</td><td>{{ badge(check.state, check.outcome) }}</td><td{% if check.message %} class="long"{% endif %}>{{ check.message or "" }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
{% if reasons %}
<h3>Quarantined by reason</h3>
<div class="scroll"><table class="chart">
<thead><tr><th>Table</th><th>Reason</th><th></th><th class="n">Rows</th><th class="n">Share</th></tr></thead>
<tbody>
{% for reason in reasons %}
<tr><td class="name mono" title="{{ reason.table }}">{{ reason.table }}</td><td class="mono long">{{ reason.reason }}</td><td class="draw" style="width:35%">{{ reason.bar }}</td><td class="n" data-label="Rows">{{ reason.rows }}</td><td class="n soft" data-label="Share">{{ reason.share }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="soft">A row that breaks several expectations is counted under each. Look at the rows with <code>caudal quarantine show TABLE</code>.</p>
{% endif %}
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return a row for each expectation, and one for each reason."""
        checks_content = [check_line(row, run.steps) for row in run.ledger.find(checks, run_id=run.run["run_id"])]
        reasons_content = quarantine_reasons(run.document)
        return {"checks": checks_content, "reasons": reasons_content} if checks_content or reasons_content else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the expectations."""
        return [("expectations", "Expectations")]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield the quarantined rows by table and reason."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "right", "right", "fill")
        reasons_found = [
            (name, reason, number, table)
            for name, table in document["tables"].items()
            for reason, number in table["reasons"].items()
        ]
        for name, reason, number, table in sorted(reasons_found, key=lambda row: (row[0], -row[2], row[1])):
            rows.add_row(
                name,
                count_text(number),
                Text(share_text(number, table["rows_written"] + table["rows_quarantined"]), style="bright_black"),
                Text(reason),
            )
        has_several = sum(number for _, _, number, _ in reasons_found) > sum(
            table["rows_quarantined"] for table in document["tables"].values()
        )
        if rows.row_count:
            yield TerminalPart("Quarantined", [inset(rows)], "a row may have several reasons" if has_several else "")


def check_line(row: CheckRow, run_steps: Sequence[StepRow]) -> dict[str, object]:
    """Return the table row of an expectation: its counts and its outcome."""
    failed = any(step["name"] == row["table"] and step["state"] == "failed" for step in run_steps)
    outcome, state = _outcome(row, failed)
    return {
        "table": row["table"],
        "expectation": row["expectation"],
        "action": row["action"],
        "rows": count_text(row["rows"]),
        "broken": count_text(row["broken"]),
        "share": share_text(row["broken"], row["rows"]),
        "message": row["message"],
        "outcome": outcome,
        "state": state,
    }


def _outcome(row: CheckRow, failed: bool) -> tuple[str, str]:
    """Return the outcome of an expectation and the state that colours it; a failed table has set no rows aside."""
    if row["passed"] and not row["broken"]:
        return "passed", "succeeded"
    if row["action"] == "warn":
        return "warned", "waiting"
    return ("set aside", "waiting") if row["action"] == "quarantine" and not failed else ("stopped", "failed")


def quarantine_reasons(document: RunDocument) -> list[dict[str, object]]:
    """Return the quarantined rows by table and reason, the most frequent first."""
    reasons_found = [
        (name, reason, number, table)
        for name, table in document["tables"].items()
        for reason, number in table["reasons"].items()
        if number
    ]
    largest = max((number for _, _, number, _ in reasons_found), default=1)
    return [
        {
            "table": name,
            "reason": reason,
            "rows": count_text(number),
            "share": share_text(number, table["rows_written"] + table["rows_quarantined"]),
            "bar": charts.bar(0.0, number / largest, "aside", plural(number, "row")),
        }
        for name, reason, number, table in sorted(reasons_found, key=lambda row: (row[0], -row[2], row[1]))
    ]


SECTION = Expectations()
