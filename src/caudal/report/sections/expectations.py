"""What the expectations counted, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from caudal.ledger.records import checks
from caudal.ledger.rows import CheckRow, StepRow
from caudal.report import charts
from caudal.report.figures import count, plural, share
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
{% for one in checks %}
<tr><td class="name mono" title="{{ one.table }}">{{ one.table }}</td><td class="mono long">{{ one.expectation }}</td><td data-label="If broken">{{ one.action }}</td><td class="n" data-label="Rows">{{ one.rows }}</td><td class="n" data-label="Broken">{{ one.broken }}</td><td class="n" data-label="Share">{{ one.share }}</td><td>{{ badge(one.state, one.outcome) }}</td><td{% if one.message %} class="long"{% endif %}>{{ one.message or "" }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
{% if reasons %}
<h3>Quarantined by reason</h3>
<div class="scroll"><table class="chart">
<thead><tr><th>Table</th><th>Reason</th><th></th><th class="n">Rows</th><th class="n">Share</th></tr></thead>
<tbody>
{% for one in reasons %}
<tr><td class="name mono" title="{{ one.table }}">{{ one.table }}</td><td class="mono long">{{ one.reason }}</td><td class="draw" style="width:35%">{{ one.bar }}</td><td class="n" data-label="Rows">{{ one.rows }}</td><td class="n soft" data-label="Share">{{ one.share }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="soft">A row that breaks several expectations is counted under each. Look at the rows with <code>caudal quarantine show TABLE</code>.</p>
{% endif %}
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return a line for each expectation, and one for each reason."""
        judged = [check_line(row, run.steps) for row in run.ledger.find(checks, run_id=run.run["run_id"])]
        aside = reasons(run.document)
        return {"checks": judged, "reasons": aside} if judged or aside else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the expectations."""
        return [("expectations", "Expectations")]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield the quarantined rows by table and reason."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "right", "right", "fill")
        found = [
            (name, reason, number, table)
            for name, table in document["tables"].items()
            for reason, number in table["reasons"].items()
        ]
        for name, reason, number, table in sorted(found, key=lambda row: (row[0], -row[2], row[1])):
            rows.add_row(
                name,
                count(number),
                Text(share(number, table["rows_written"] + table["rows_quarantined"]), style="bright_black"),
                Text(reason),
            )
        several = sum(number for _, _, number, _ in found) > sum(table["rows_quarantined"] for table in document["tables"].values())
        if rows.row_count:
            yield TerminalPart("Quarantined", [inset(rows)], "a row may have several reasons" if several else "")


def check_line(row: CheckRow, done: Sequence[StepRow]) -> dict[str, object]:
    """Return an expectation's line: what it counted, and what came of it."""
    failed = any(step["name"] == row["table"] and step["state"] == "failed" for step in done)
    outcome, state = _outcome(row, failed)
    return {
        "table": row["table"],
        "expectation": row["expectation"],
        "action": row["action"],
        "rows": count(row["rows"]),
        "broken": count(row["broken"]),
        "share": share(row["broken"], row["rows"]),
        "message": row["message"],
        "outcome": outcome,
        "state": state,
    }


def _outcome(row: CheckRow, failed: bool) -> tuple[str, str]:
    """Return what came of an expectation, and the state whose colour tells it; of a table that failed nothing was set aside."""
    if row["passed"] and not row["broken"]:
        return "passed", "succeeded"
    if row["action"] == "warn":
        return "warned", "waiting"
    return ("set aside", "waiting") if row["action"] == "quarantine" and not failed else ("stopped", "failed")


def reasons(document: RunDocument) -> list[dict[str, object]]:
    """Return the quarantined rows by table and reason, the most frequent first."""
    found = [
        (name, reason, number, table)
        for name, table in document["tables"].items()
        for reason, number in table["reasons"].items()
        if number
    ]
    most = max((number for _, _, number, _ in found), default=1)
    return [
        {
            "table": name,
            "reason": reason,
            "rows": count(number),
            "share": share(number, table["rows_written"] + table["rows_quarantined"]),
            "bar": charts.bar(0.0, number / most, "aside", plural(number, "row")),
        }
        for name, reason, number, table in sorted(found, key=lambda row: (row[0], -row[2], row[1]))
    ]


SECTION = Expectations()
