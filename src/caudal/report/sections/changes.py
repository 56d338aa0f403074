"""What a run found changed, and what it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caudal.graph.registered import steps_where
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs
from caudal.ledger.rows import RunRow, StepRow
from caudal.report.figures import plural, size
from caudal.report.run_document import RunDocument
from caudal.report.section import ReportedRun, ReportSection


class Changes(ReportSection):
    """Sentences about what is new."""

    name, order = "changes", 20
    template = """\
<section id="changes">
<h2>What changed</h2>
<ul>{% for one in changes %}<li>{{ one }}</li>{% endfor %}</ul>
</section>
"""

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return the sentences."""
        changes = _changes(run.run, _before(run.ledger, run.run), run.document, run.steps)
        return {"changes": changes} if changes else None


def _before(ledger: Ledger, run: RunRow) -> RunRow | None:
    return next((row for row in ledger.find(runs, product=run["product"], newest=True) if row["seq"] < run["seq"]), None)


def _changes(run: RunRow, before: RunRow | None, document: RunDocument, done: Sequence[StepRow]) -> list[str]:
    """Return in sentences what this run found changed, and what it changed."""
    said = []
    if before is None:
        said.append("First run of the product in this home.")
    elif before["code"] != run["code"]:
        said.append(f"The product's code has changed since the run before ({before['run_id']}).")
    for name, arrived in document["landed"].items():
        if arrived["files"]:
            said.append(f"{plural(arrived['files'], 'new file')} landed for {name} ({size(arrived['bytes'])}).")
    new = [
        row["name"]
        for row in done
        if row["kind"] in steps_where(writes="table") and row["state"] == "succeeded" and row["output_version"] is not None
    ]
    if new:
        said.append(f"{plural(len(new), 'table has', 'tables have')} a new version: {', '.join(new)}.")
    for name, model in document["models"].items():
        if model["decision"] == "refused":
            stays = (
                f"; version {model['in_production']} stays in production"
                if model["in_production"] is not None
                else "; none is in production"
            )
            said.append(f"Version {model['version']} of model {name} was refused{stays}.")
        elif model["decision"]:
            instead = f" instead of version {model['replaced']}" if model["replaced"] is not None else ""
            said.append(f"Version {model['version']} of model {name} was {model['decision']}{instead}.")
    idle = sum(row["state"] == "skipped" for row in done)
    if idle:
        said.append(f"{plural(idle, 'step')} had nothing to do.")
    return said


SECTION = Changes()
