"""The section on what changed before and during a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caudal.graph.registered import steps_where
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs
from caudal.ledger.rows import RunRow, StepRow
from caudal.ledger.trials import DONE
from caudal.report.figures import plural, size
from caudal.report.run_document import RunDocument
from caudal.report.section import ReportedRun, ReportSection


class Changes(ReportSection):
    """Sentences about new code, files, versions and decisions."""

    name, order = "changes", 20
    template = """\
<section id="changes">
<h2>What changed</h2>
<ul>{% for sentence in changes %}<li>{{ sentence }}</li>{% endfor %}</ul>
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return the sentences."""
        changes = _changes(run.run, _before(run.ledger, run.run), run.document, run.steps)
        return {"changes": changes} if changes else None


def _before(ledger: Ledger, run: RunRow) -> RunRow | None:
    return next((row for row in ledger.find(runs, product=run["product"], newest=True) if row["seq"] < run["seq"]), None)


def _changes(run: RunRow, before: RunRow | None, document: RunDocument, run_steps: Sequence[StepRow]) -> list[str]:
    """Return sentences on what this run found changed, and what it changed."""
    sentences = []
    if before is None:
        sentences.append("First run of the product in this home.")
    elif before["code"] != run["code"]:
        sentences.append(f"The product's code has changed since the run before ({before['run_id']}).")
    for name, landed in document["landed"].items():
        if landed["files"]:
            sentences.append(f"{plural(landed['files'], 'new file')} landed for {name} ({size(landed['bytes'])}).")
    new_tables = [
        row["name"]
        for row in run_steps
        if row["kind"] in steps_where(writes="table") and row["state"] == "succeeded" and row["output_version"] is not None
    ]
    if new_tables:
        sentences.append(f"{plural(len(new_tables), 'table has', 'tables have')} a new version: {', '.join(new_tables)}.")
    for name, model in document["models"].items():
        if model["decision"] == "refused":
            in_production = (
                f"; version {model['in_production']} stays in production"
                if model["in_production"] is not None
                else "; none is in production"
            )
            sentences.append(f"Version {model['version']} of model {name} was refused{in_production}.")
        elif model["decision"]:
            replaced = f" instead of version {model['replaced']}" if model["replaced"] is not None else ""
            done = DONE.get(model["decision"], model["decision"])
            sentences.append(f"Version {model['version']} of model {name} was {done}{replaced}.")
    skipped = sum(row["state"] == "skipped" for row in run_steps)
    if skipped:
        sentences.append(f"{plural(skipped, 'step')} had nothing to do.")
    return sentences


SECTION = Changes()
