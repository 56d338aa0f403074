"""The section on a run's error, and on the state that the run left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caudal.ledger.rows import RunRow, StepRow
from caudal.report.figures import plural, value
from caudal.report.section import ReportedRun, ReportSection

NAMED_FIELDS = ("error", "what", "where", "nearest", "fix", "step")


class Error(ReportSection):
    """The error, where there is one, and how to continue."""

    name, order = "error", 10
    template = """\
<section class="error" id="error">
<h2>{% if error %}What went wrong{% if error.step %} in <code>{{ error.step }}</code>{% endif %}{% else %}Cut off{% endif %}</h2>
{% if error %}
<p class="what">{{ error.what }}</p>
{% if error.nearest %}<p>Did you mean <code>{{ error.nearest }}</code>?</p>{% endif %}
{% if error.fix %}<p class="fix"><strong>What to do:</strong> {{ error.fix }}</p>{% endif %}
{% if error.where %}<p class="fix"><strong>Where:</strong> <code>{{ error.where }}</code></p>{% endif %}
{% if error.facts %}
<dl class="facts">{% for name, fact in error.facts %}<div><dt>{{ name }}</dt><dd>{{ fact }}</dd></div>{% endfor %}</dl>
{% endif %}
{% endif %}
{% if aftermath %}<p{% if error %} style="margin:14px 0 0"{% endif %}>{{ aftermath }}</p>{% endif %}
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return the error's sentences and facts, and the state that the run left."""
        error, aftermath = _error(run.run, run.steps), _aftermath(run.run, run.steps)
        return {"error": error, "aftermath": aftermath} if error or aftermath else None


def _error(run: RunRow, run_steps: Sequence[StepRow]) -> dict[str, object] | None:
    failed = next((row for row in run_steps if row["state"] == "failed"), None)
    error = run["error"] or (failed["error"] if failed else None)
    if not error:
        return None
    facts = [(name, value(fact)) for name, fact in error.items() if name not in NAMED_FIELDS and fact is not None]
    step = error.get("step") or (failed["step"] if failed else None)
    return {
        **{name: error.get(name) for name in NAMED_FIELDS},
        "what": error.get("what") or "The run failed.",
        "step": step,
        "facts": facts,
    }


def _aftermath(run: RunRow, run_steps: Sequence[StepRow]) -> str | None:
    """Return in sentences what a run that did not succeed left, and how to continue; None for other runs."""
    if run["state"] not in ("failed", "abandoned", "stopped"):
        return None
    ended_well = sum(row["state"] in ("succeeded", "skipped") for row in run_steps)
    waiting = sum(row["state"] == "waiting" for row in run_steps)
    sentences = [
        "The process ended before the run could (it was killed, or the machine stopped)." if run["state"] == "abandoned" else "",
        f"{plural(ended_well, 'step')} ended well and will not be done again" + (f"; {waiting} did not start." if waiting else "."),
        "Readers see the last published version of every table, nothing half written.",
        "The same command goes on from here.",
    ]
    return " ".join(part for part in sentences if part)


SECTION = Error()
