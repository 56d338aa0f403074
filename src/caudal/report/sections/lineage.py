"""The section on the versions from which each output was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from caudal.graph.registered import steps_where
from caudal.ledger.rows import StepRow
from caudal.report.document import detail_of
from caudal.report.section import ReportedRun, ReportSection


class Lineage(ReportSection):
    """The input versions of each output version."""

    name, order = "lineage", 120
    template = """\
<section id="lineage">
<h2>Lineage</h2>
<div class="scroll"><table>
<thead><tr><th>Made</th><th class="n">Version</th><th>From</th><th>Fingerprint</th></tr></thead>
<tbody>
{% for output in lineage %}
<tr{% if output.state in ("skipped", "waiting") %} class="idle"{% endif %}><td class="name mono" title="{{ output.step }}">{{ output.name }}</td><td class="n" data-label="Version">{{ output.version if output.version is not none else "–" }}</td><td class="mono long">{% for name, version in output.inputs %}{{ name }} <span class="soft">version {{ version }}</span>{% if not loop.last %}, {% endif %}{% else %}<span class="soft">{% if output.step.startswith("read:") %}what has landed{% else %}as before{% endif %}</span>{% endfor %}</td><td class="mono soft">{{ output.fingerprint }}</td></tr>
{% endfor %}
</tbody></table></div>
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return a line for each output."""
        outputs = lineage(run.steps)
        return {"lineage": outputs} if outputs else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return the link to the lines."""
        return [("lineage", "Lineage")]


def lineage(run_steps: Sequence[StepRow]) -> list[dict[str, object]]:
    """Return for each output of the run the versions of its inputs."""
    return [
        {
            "step": row["step"],
            "state": row["state"],
            "inputs": _inputs(row),
            "name": row["name"],
            "version": row["output_version"],
            "fingerprint": (row["fingerprint"] or "")[:12],
        }
        for row in run_steps
        if row["output_version"] is not None or row["inputs"]
    ]


def _inputs(row: StepRow) -> list[tuple[str, int]]:
    model_version = detail_of(row).get("model_version") if row["kind"] in steps_where(section="predictions") else None
    return [*sorted((row["inputs"] or {}).items()), *([("model", model_version)] if model_version is not None else [])]


SECTION = Lineage()
