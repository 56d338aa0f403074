"""The section on the duration of the steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from caudal.ledger.rows import RunRow, StepRow
from caudal.report import charts
from caudal.report.figures import duration, plural
from caudal.report.run_document import RunDocument
from caudal.report.section import ReportedRun, ReportSection, TerminalPart

BAR = 24
# Steps shorter than this share of the run are summed in one line.
WORTH_A_LINE = 0.01


class Time(ReportSection):
    """A bar for each step that ran."""

    name, order, terminal_order = "time", 50, 190
    template = """\
<section id="time">
<h2>Where the time went</h2>
<div class="scroll"><table class="chart">
<thead><tr><th>Step</th><th>Within the run</th><th class="n">Time</th><th class="n">Share</th></tr></thead>
<tbody>
{% for step in timeline %}
<tr><td class="name mono" title="{{ step.step }}">{{ step.step }}</td><td class="draw">{{ step.bar }}</td><td class="n" data-label="Time">{{ step.seconds }}</td><td class="n soft" data-label="Share">{{ step.share }}</td></tr>
{% endfor %}
</tbody></table></div>
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return a bar for each step, at its place in the run."""
        bars = timeline(run.run, run.steps)
        return {"timeline": bars} if bars else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the bars."""
        return [("time", "Time")]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield a bar for each step that took at least 1 % of the time."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "right", "fill")
        ran = [step for step in document["steps"] if step["state"] in ("succeeded", "failed")]
        longest = max((step["seconds"] for step in ran), default=0.0)
        least = WORTH_A_LINE * sum(step["seconds"] for step in ran)
        long_steps = [step for step in ran if step["seconds"] >= least and longest > 0]
        for step in long_steps:
            bar = "█" * round(BAR * step["seconds"] / longest) or "▏"
            rows.add_row(step["step"], duration(step["seconds"]), Text(bar, style="red" if step["state"] == "failed" else "cyan"))
        if short_steps := [step for step in ran if step not in long_steps]:
            rows.add_row(
                Text(plural(len(short_steps), "other step"), style="bright_black"),
                duration(sum(step["seconds"] for step in short_steps)),
                "",
            )
        if rows.row_count:
            yield TerminalPart("Time", [inset(rows)])


def timeline(run: RunRow, run_steps: Sequence[StepRow]) -> list[dict[str, object]]:
    """Return a bar for each step that ran, at its place in the run."""
    ran = [
        (row, seconds, _begin(run, row))
        for row in run_steps
        if row["state"] in ("succeeded", "failed") and (seconds := row["seconds"]) is not None
    ]
    run_s = max((begin + seconds for _, seconds, begin in ran), default=0.0)
    if run_s <= 0:
        return []
    total = sum(seconds for _, seconds, _ in ran)
    return [
        {
            "step": row["step"],
            "seconds": duration(seconds),
            "share": f"{100 * seconds / total:.0f} %" if total else "",
            "bar": charts.bar(
                begin / run_s,
                seconds / run_s,
                row["state"],
                f"from {duration(begin)} to {duration(begin + seconds)} of the run",
            ),
        }
        for row, seconds, begin in ran
    ]


def _begin(run: RunRow, row: StepRow) -> float:
    return max(float(row["started_at"] or run["started_at"]) - float(run["started_at"]), 0.0)


SECTION = Time()
