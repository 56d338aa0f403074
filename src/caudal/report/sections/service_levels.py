"""The section on service levels: what is promised, what was measured, what is left of the error budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from caudal.declarations.duration import text
from caudal.report.section import ReportedRun, ReportSection
from caudal.service_levels.agreed import stored_agreed
from caudal.service_levels.words import percent_text, promised

if TYPE_CHECKING:
    from caudal.service_levels.assess import AgreementState, ObjectiveState

BADGES = {"met": "succeeded", "burning": "abandoned", "breached": "failed", "no figures": "skipped"}


class ServiceLevelSection(ReportSection):
    """A line for each objective, as it was when the run ended."""

    name, order = "service_levels", 96
    template = """\
<section id="service-levels">
<h2>Service levels</h2>
<div class="scroll"><table>
<thead><tr><th>Of</th><th>Objective</th><th>Promised</th><th>Over</th><th class="n">Measured</th><th class="n">Budget left</th><th class="n">Burn 1 h</th><th class="n">Burn 6 h</th><th>State</th></tr></thead>
<tbody>{% for line in lines %}<tr><td class="name mono" title="{{ line.subject }}">{{ line.subject }}</td><td data-label="Objective">{{ line.objective }}</td><td data-label="Promised">{{ line.promised }}</td><td class="soft" data-label="Over">{{ line.over }}</td><td class="n" data-label="Measured">{{ line.level }}</td><td class="n" data-label="Budget left">{{ line.left }}</td>{% for rate in line.burns %}<td class="n">{{ rate }}</td>{% endfor %}<td data-label="State">{{ badge(line.badge, line.state) }}</td></tr>{% endfor %}</tbody>
</table></div>
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return a line for each objective; None where none is declared."""
        agreed = stored_agreed(run.ledger, run.run["product"])
        if agreed is None:
            return None
        from caudal.service_levels.assess import assess

        states = assess(run.ledger, agreed, run.run["finished_at"] or run.run["started_at"])
        return {"lines": [_line(state, objective) for state in states for objective in state.objectives]}

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the table."""
        return [("service-levels", "Service levels")]


def _line(state: AgreementState, objective: ObjectiveState) -> dict[str, object]:
    figures, level = objective.figures, state.agreement.level
    has_figures = figures.level is not None
    return {
        "subject": state.agreement.subject, "objective": objective.objective,
        "promised": promised(objective.objective, objective.limit, objective.target),
        "over": text(level.over_s) + (f", {level.hours.text}" if level.hours else ""),
        "level": percent_text(figures.level or 0.0) if has_figures else "–",
        "left": percent_text(figures.budget_left or 0.0) if has_figures else "–",
        "burns": [f"{burn.long:.1f}" for burn in figures.burns], "state": figures.state, "badge": BADGES[figures.state],
    }  # fmt: skip


SECTION = ServiceLevelSection()
