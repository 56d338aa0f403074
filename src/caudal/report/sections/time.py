"""Where the time of a run went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from caudal.ledger.rows import RunRow, StepRow
from caudal.report import charts
from caudal.report.figures import duration, plural
from caudal.report.run_document import RunDocument
from caudal.report.section import ReportedRun, ReportSection, TerminalPart

BAR = 24
# Steps shorter than this share of the run are told together.
WORTH_A_LINE = 0.01


class Time(ReportSection):
    """A bar for each step that worked."""

    name, order, terminal_order = "time", 50, 190
    template = """\
<section id="time">
<h2>Where the time went</h2>
<div class="scroll"><table class="chart">
<thead><tr><th>Step</th><th>Within the run</th><th class="n">Time</th><th class="n">Share</th></tr></thead>
<tbody>
{% for one in timeline %}
<tr><td class="name mono" title="{{ one.step }}">{{ one.step }}</td><td class="draw">{{ one.bar }}</td><td class="n" data-label="Time">{{ one.seconds }}</td><td class="n soft" data-label="Share">{{ one.share }}</td></tr>
{% endfor %}
</tbody></table></div>
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return a bar for each step, where it lay in the run."""
        bars = timeline(run.run, run.steps)
        return {"timeline": bars} if bars else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the bars."""
        return [("time", "Time")]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield a bar for each step that took more than a moment."""
        from rich.text import Text

        from caudal.report.terminal.console import grid, inset

        rows = grid("left", "right", "fill")
        worked = [step for step in document["steps"] if step["state"] in ("succeeded", "failed")]
        longest = max((step["seconds"] for step in worked), default=0.0)
        least = WORTH_A_LINE * sum(step["seconds"] for step in worked)
        shown = [step for step in worked if step["seconds"] >= least and longest > 0]
        for step in shown:
            bar = "█" * round(BAR * step["seconds"] / longest) or "▏"
            rows.add_row(step["step"], duration(step["seconds"]), Text(bar, style="red" if step["state"] == "failed" else "cyan"))
        if left := [step for step in worked if step not in shown]:
            rows.add_row(
                Text(plural(len(left), "other step"), style="bright_black"), duration(sum(step["seconds"] for step in left)), ""
            )
        if rows.row_count:
            yield TerminalPart("Time", [inset(rows)])


def timeline(run: RunRow, done: Sequence[StepRow]) -> list[dict[str, object]]:
    """Return a bar for each step that worked, where it lay in the run."""
    worked = [
        (row, seconds, _begin(run, row))
        for row in done
        if row["state"] in ("succeeded", "failed") and (seconds := row["seconds"]) is not None
    ]
    whole = max((begin + seconds for _, seconds, begin in worked), default=0.0)
    if whole <= 0:
        return []
    total = sum(seconds for _, seconds, _ in worked)
    return [
        {
            "step": row["step"],
            "seconds": duration(seconds),
            "share": f"{100 * seconds / total:.0f} %" if total else "",
            "bar": charts.bar(
                begin / whole,
                seconds / whole,
                row["state"],
                f"from {duration(begin)} to {duration(begin + seconds)} of the run",
            ),
        }
        for row, seconds, begin in worked
    ]


def _begin(run: RunRow, row: StepRow) -> float:
    return max(float(row["started_at"] or run["started_at"]) - float(run["started_at"]), 0.0)


SECTION = Time()
