"""What each thing was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from caudal.graph.registered import steps_where
from caudal.ledger.rows import StepRow
from caudal.report.document import detail_of
from caudal.report.section import ReportedRun, ReportSection


class Lineage(ReportSection):
    """The versions that each version was made from."""

    name, order = "lineage", 120
    template = """\
<section id="lineage">
<h2>Lineage</h2>
<div class="scroll"><table>
<thead><tr><th>Made</th><th class="n">Version</th><th>From</th><th>Fingerprint</th></tr></thead>
<tbody>
{% for one in lineage %}
<tr{% if one.state in ("skipped", "waiting") %} class="idle"{% endif %}><td class="name mono" title="{{ one.step }}">{{ one.name }}</td><td class="n" data-label="Version">{{ one.version if one.version is not none else "–" }}</td><td class="mono long">{% for name, version in one.inputs %}{{ name }} <span class="soft">version {{ version }}</span>{% if not loop.last %}, {% endif %}{% else %}<span class="soft">{% if one.step.startswith("read:") %}what has landed{% else %}as before{% endif %}</span>{% endfor %}</td><td class="mono soft">{{ one.fingerprint }}</td></tr>
{% endfor %}
</tbody></table></div>
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return a line for each thing made."""
        made = lineage(run.steps)
        return {"lineage": made} if made else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the lines."""
        return [("lineage", "Lineage")]


def lineage(done: Sequence[StepRow]) -> list[dict[str, object]]:
    """Return for each thing made the versions that it was made from."""
    return [
        {
            "step": row["step"],
            "state": row["state"],
            "inputs": _inputs(row),
            "name": row["name"],
            "version": row["output_version"],
            "fingerprint": (row["fingerprint"] or "")[:12],
        }
        for row in done
        if row["output_version"] is not None or row["inputs"]
    ]


def _inputs(row: StepRow) -> list[tuple[str, int]]:
    by = detail_of(row).get("model_version") if row["kind"] in steps_where(section="predictions") else None
    return [*sorted((row["inputs"] or {}).items()), *([("model", by)] if by is not None else [])]


SECTION = Lineage()
