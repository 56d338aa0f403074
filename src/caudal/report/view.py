"""What a run's page says, section by section, made from the ledger's rows; the template only lays it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from caudal.graph.draw import as_svg
from caudal.graph.registered import steps_of_label, steps_where
from caudal.graph.shape import Graph, NodeState
from caudal.ledger.ledger import Ledger, Row
from caudal.ledger.records import checks, profiles, runs
from caudal.report import images, sections
from caudal.report.document import Document, run_document, run_row, step_rows
from caudal.report.figures import duration, moment, plural, score, share, size, value

TOLD = ("error", "what", "where", "nearest", "fix", "step")


def view(ledger: Ledger, run_id: str, graph: Graph) -> dict[str, Any]:
    """Return the page's content."""
    run, done = run_row(ledger, run_id), step_rows(ledger, run_id)
    document = run_document(ledger, run_id)
    before = _before(ledger, run)
    return {
        "run": _header(run, document),
        "changes": _changes(run, before, document, done),
        "error": _error(run, done),
        "aftermath": _aftermath(run, done),
        "tiles": _tiles(document, done),
        "graph": Markup(as_svg(graph, node_states(graph, done, document))),  # noqa: S704 it escapes its texts
        "steps": [sections.step_line(row) for row in done],
        "timeline": sections.timeline(run, done),
        "checks": [sections.check_line(row, done) for row in ledger.find(checks, run_id=run_id)],
        "reasons": sections.reasons(document),
        "profiles": [sections.profile(ledger, row) for row in ledger.find(profiles, run_id=run_id)],
        **sections.files(ledger, run_id, done),
        "embedded": images.sections(done),
        "lineage": sections.lineage(done),
        "models": [sections.model_section(name, model, done) for name, model in document["models"].items()],
        "predictions": [
            sections.prediction_line(row)
            for row in done
            if row["kind"] in steps_where(section="predictions") and row["state"] == "succeeded"
        ],
    }


def node_states(graph: Graph, done: Sequence[Row], document: Document) -> dict[str, NodeState]:
    """Return how each node of the graph stands, from the steps that are about it."""
    found = {}
    for name, node in graph.nodes.items():
        rows = [row for row in done if name in (row["name"], row["step"]) and row["kind"] in steps_of_label(node.kind)]
        if not rows:
            continue
        states = [row["state"] for row in rows]
        state = next((name for name in ("failed", "running", "succeeded", "waiting") if name in states), "skipped")
        notes = [why for row in rows if (why := sections.why(row))]
        model = document["models"].get(name, {}) if node.kind == "model" else {}
        if model.get("decision"):
            notes.append(f"version {model['version']} {model['decision']}")
        written = [row["rows_written"] for row in rows if row["rows_written"] is not None]
        found[name] = NodeState(
            state,
            sum(row["seconds"] or 0.0 for row in rows),
            written[-1] if written else None,
            "; ".join(dict.fromkeys(notes)) or None,
        )
    return found


def _header(run: Row, document: Document) -> dict[str, Any]:
    facts = [
        ("Started", moment(run["started_at"])),
        ("Took", duration(document["seconds"])),
        ("By", f"{run['who'] or 'unknown'} on {run['host'] or 'unknown'}"),
        ("Command", f"caudal {run['command']}"),
        ("Code", (run["code"] or "–")[:12]),
        ("caudal", run["caudal_version"] or "–"),
    ]
    return {
        "product": run["product"],
        "run_id": run["run_id"],
        "state": run["state"],
        "outcome": document["outcome"],
        "facts": facts,
    }


def _before(ledger: Ledger, run: Row) -> Row | None:
    return next((row for row in ledger.find(runs, product=run["product"], newest=True) if row["seq"] < run["seq"]), None)


def _changes(run: Row, before: Row | None, document: Document, done: Sequence[Row]) -> list[str]:
    """Return in sentences what this run found changed, and what it changed."""
    said = []
    if before is None:
        said.append("First run of the product in this home.")
    elif before["code"] != run["code"]:
        said.append(f"The product's code has changed since the run before ({before['run_id']}).")
    for name, one in document["landed"].items():
        if one["files"]:
            said.append(f"{plural(one['files'], 'new file')} landed for {name} ({size(one['bytes'])}).")
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


def _error(run: Row, done: Sequence[Row]) -> dict[str, Any] | None:
    failed = next((row for row in done if row["state"] == "failed"), None)
    error = run["error"] or (failed["error"] if failed else None)
    if not error:
        return None
    facts = [(name, value(one)) for name, one in error.items() if name not in TOLD and one is not None]
    step = error.get("step") or (failed["step"] if failed else None)
    return {
        **{name: error.get(name) for name in TOLD},
        "what": error.get("what") or "The run failed.",
        "step": step,
        "facts": facts,
    }


def _aftermath(run: Row, done: Sequence[Row]) -> str | None:
    """Return what a run that did not succeed has left, and how to go on."""
    if run["state"] not in ("failed", "abandoned", "stopped"):
        return None
    kept = sum(row["state"] in ("succeeded", "skipped") for row in done)
    waiting = sum(row["state"] == "waiting" for row in done)
    parts = [
        "The process ended before the run could (it was killed, or the machine stopped)." if run["state"] == "abandoned" else "",
        f"{plural(kept, 'step')} ended well and will not be done again" + (f"; {waiting} did not start." if waiting else "."),
        "Readers see the last published version of every table, nothing half written.",
        "The same command goes on from here.",
    ]
    return " ".join(part for part in parts if part)


def _tiles(document: Document, done: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Return the figures at the head of the page: label, figure, note."""
    arrived, tables = document["landed"].values(), document["tables"].values()
    files, taken = sum(arrival["files"] for arrival in arrived), sum(arrival["bytes"] for arrival in arrived)
    read = sum(arrival["rows"] for arrival in arrived)
    written, aside = sum(table["rows_written"] for table in tables), sum(table["rows_quarantined"] for table in tables)
    judged = f"{share(aside, written + aside)} of all judged" if written + aside else "no row judged"
    return [
        ("Landed", plural(files, "file"), f"{size(taken)}, {plural(read, 'row')} read")
        if files or not read
        else ("Landed", plural(read, "row"), "from streams"),
        ("Written", plural(written, "row"), f"in {plural(sum(1 for table in tables if table['rows_written']), 'table')}"),
        ("Quarantined", plural(aside, "row"), judged),
        ("Steps", f"{sum(row['state'] == 'succeeded' for row in done)} of {len(done)} run", _states(done)),
        *(_model_tile(name, model) for name, model in document["models"].items()),
    ]


def _model_tile(name: str, model: Document) -> tuple[str, str, str]:
    chosen = next((candidate for candidate in model["candidates"] if candidate["chosen"] and candidate["score"] is not None), None)
    told = f"{score(chosen['score'], chosen['spread'])} {model['unit'] or ''}".strip() if chosen else "no score"
    if model["decision"]:
        stands = f"version {model['version']} {model['decision']}"
    else:
        stands = "none in production" if model["in_production"] is None else f"version {model['in_production']} in production"
    return f"Model {name}", told, ", ".join(one for one in (model["metric"], stands) if one)


def _states(done: Sequence[Row]) -> str:
    words = {"skipped": "with nothing to do", "waiting": "not started", "failed": "failed", "running": "at work"}
    counts = {state: sum(row["state"] == state for row in done) for state in words}
    return ", ".join(f"{number} {words[state]}" for state, number in counts.items() if number) or "none skipped"
