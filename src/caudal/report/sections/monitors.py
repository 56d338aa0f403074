"""The section on monitors: each figure with its newest value, its thresholds and its history as a small chart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from caudal.graph.registered import steps_where
from caudal.report.charts import window_bars
from caudal.report.document import detail_of
from caudal.report.figures import number_text, plural
from caudal.report.monitors import monitor_document
from caudal.report.run_document import MonitoredDocument, RunDocument
from caudal.report.section import RecordedRun, ReportedRun, ReportSection, TerminalPart

if TYPE_CHECKING:
    from caudal.report.documents.monitors import MonitoredFigure

BADGES = {"alarm": "failed", "outside": "waiting", "inside": "succeeded", "learning": "skipped"}


class Monitors(ReportSection):
    """A table of figures for each monitor that a run has brought up to date."""

    name, order = "monitors", 95
    template = """\
<section id="monitors">
<h2>Monitors</h2>
{% for monitor in monitors %}
<h3>{{ monitor.name }} {{ badge(monitor.badge, monitor.state) }}</h3>
{% if monitor.alarms %}<ul>{% for alarm in monitor.alarms %}<li>{{ alarm }}</li>{% endfor %}</ul>{% endif %}
{% if monitor.figures %}
<div class="scroll"><table class="chart">
<thead><tr><th>Figure</th><th class="n">Newest window</th><th class="n">Expected</th><th>State</th><th>History</th></tr></thead>
<tbody>{% for figure in monitor.figures %}
<tr><td class="name">{{ figure.name }}</td><td class="n" data-label="Newest window">{{ figure.value }}</td><td class="n" data-label="Expected">{{ figure.expected }}</td><td>{{ badge(figure.badge, figure.state) }}</td><td class="draw">{{ figure.chart }}</td></tr>{% endfor %}
</tbody></table></div>
<p class="soft">{{ monitor.words }}</p>
{% else %}<p class="soft">All windows so far belong to the reference; later ones will be compared with them.</p>{% endif %}
{% if monitor.left_out %}<p class="soft">Not watched: {{ monitor.left_out }}.</p>{% endif %}
{% endfor %}
</section>
"""

    def document(self, record: RecordedRun) -> dict[str, MonitoredDocument] | None:
        """Return what each monitor says; None where a run has none."""
        rows = [row for row in record.steps if row["kind"] in steps_where(section="monitors")]
        if not rows:
            return None
        return {
            row["name"]: {
                "state": row["state"],
                "alarms": detail_of(row).get("alarms", []),
                "note": detail_of(row).get("note") or detail_of(row).get("why"),
            }
            for row in rows
        }

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return the monitors that were brought up to date."""
        rows = [row for row in run.steps if row["kind"] in steps_where(section="monitors") and row["state"] == "succeeded"]
        parts = []
        for row in rows:
            document = monitor_document(run.ledger, run.run["product"], row["name"])
            versions = {figure["reference"] for figure in document["figures"]} - {None}
            against = (
                f"what version {max(version for version in versions if version)} learned from" if versions else "the windows before"
            )
            parts.append(
                {
                    "name": document["monitor"], "state": document["state"], "badge": BADGES[document["state"]],
                    "alarms": [alarm["what"] for alarm in detail_of(row).get("alarms", [])],
                    "figures": [_line(figure) for figure in document["figures"]],
                    "words": f"{plural(document['windows'], 'window')}, compared with {against}; a bar for each window, the line is the threshold.",
                    "left_out": "; ".join(f"{column} ({reason})" for column, reason in document["left_out"].items()),
                }
            )  # fmt: skip
        return {"monitors": parts} if parts else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the section."""
        return [("monitors", "Monitors")]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield a line for each monitor that was brought up to date."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "fill")
        for name, monitored in document.get("monitors", {}).items():
            if monitored["state"] == "succeeded":
                style = "red" if monitored["alarms"] else "bright_black"
                rows.add_row(name, Text(monitored["note"] or "", style=style))
        if rows.row_count:
            yield TerminalPart("Monitors", [inset(rows)])


def _line(figure: MonitoredFigure) -> dict[str, object]:
    from caudal.report.terminal.monitors import expected

    values = [window["value"] for window in figure["history"]]
    states = [window["state"] for window in figure["history"]]
    label = f"{figure['figure']}: {plural(len(values), 'window')}, the newest {number_text(figure['value'])}, {figure['state']}"
    return {
        "name": figure["figure"], "value": number_text(figure["value"]), "expected": expected(figure), "state": figure["state"],
        "badge": BADGES[figure["state"]], "chart": window_bars(values, states, figure["low"], figure["high"], label),
    }  # fmt: skip


SECTION = Monitors()
