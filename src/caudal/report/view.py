"""The head of a run's page; its sections are in ``report/sections``."""

from __future__ import annotations

from collections.abc import Sequence

from caudal.graph.registered import steps_of_label
from caudal.graph.shape import Graph, NodeState
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import RunRow, StepRow
from caudal.report.document import run_document, run_row, step_rows
from caudal.report.figures import duration, plural, score_text, share_text, size, time_text
from caudal.report.registered import sections
from caudal.report.run_document import ModelDocument, RunDocument
from caudal.report.section import ReportedRun
from caudal.report.step_words import step_note


def view(ledger: Ledger, run_id: str, graph: Graph) -> dict[str, object]:
    """Return the page's content."""
    run, run_steps, document = run_row(ledger, run_id), step_rows(ledger, run_id), run_document(ledger, run_id)
    reported_run = ReportedRun(ledger, run, run_steps, document, graph)
    page_parts = [part for section in sections() if (part := section.page(reported_run)) is not None]
    return {
        "run": _header(run, document),
        "tiles": _tiles(document, run_steps),
        "links": [link for part in page_parts for link in part.links],
        "sections": [part.html for part in page_parts],
    }


def node_states(graph: Graph, run_steps: Sequence[StepRow], document: RunDocument) -> dict[str, NodeState]:
    """Return the state of each node of the graph, from its steps in this run."""
    states_by_node = {}
    for name, node in graph.nodes.items():
        rows = [row for row in run_steps if name in (row["name"], row["step"]) and row["kind"] in steps_of_label(node.kind)]
        if not rows:
            continue
        states = [row["state"] for row in rows]
        state = next((name for name in ("failed", "running", "succeeded", "waiting") if name in states), "skipped")
        notes = [note for row in rows if (note := step_note(row))]
        model = document["models"].get(name) if node.kind == "model" else None
        if model is not None and model["decision"]:
            notes.append(f"version {model['version']} {model['decision']}")
        written = [row["rows_written"] for row in rows if row["rows_written"] is not None]
        states_by_node[name] = NodeState(
            state,
            sum(row["seconds"] or 0.0 for row in rows),
            written[-1] if written else None,
            "; ".join(dict.fromkeys(notes)) or None,
        )
    return states_by_node


def _header(run: RunRow, document: RunDocument) -> dict[str, object]:
    facts = [
        ("Started", time_text(run["started_at"])),
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


def _tiles(document: RunDocument, run_steps: Sequence[StepRow]) -> list[tuple[str, str, str]]:
    """Return the figures at the head of the page: label, figure, note."""
    landed, tables = document["landed"].values(), document["tables"].values()
    files, landed_bytes = sum(arrival["files"] for arrival in landed), sum(arrival["bytes"] for arrival in landed)
    rows_read = sum(arrival["rows"] for arrival in landed)
    written, quarantined = sum(table["rows_written"] for table in tables), sum(table["rows_quarantined"] for table in tables)
    quarantined_note = (
        f"{share_text(quarantined, written + quarantined)} of all judged" if written + quarantined else "no row judged"
    )
    return [
        ("Landed", plural(files, "file"), f"{size(landed_bytes)}, {plural(rows_read, 'row')} read")
        if files or not rows_read
        else ("Landed", plural(rows_read, "row"), "from streams"),
        ("Written", plural(written, "row"), f"in {plural(sum(1 for table in tables if table['rows_written']), 'table')}"),
        ("Quarantined", plural(quarantined, "row"), quarantined_note),
        ("Steps", f"{sum(row['state'] == 'succeeded' for row in run_steps)} of {len(run_steps)} run", _states(run_steps)),
        *(_model_tile(name, model) for name, model in document["models"].items()),
    ]


def _model_tile(name: str, model: ModelDocument) -> tuple[str, str, str]:
    chosen = next((candidate for candidate in model["candidates"] if candidate["chosen"] and candidate["score"] is not None), None)
    figure = f"{score_text(chosen['score'], chosen['spread'])} {model['unit'] or ''}".strip() if chosen else "no score"
    if model["decision"]:
        decision = f"version {model['version']} {model['decision']}"
    else:
        decision = "none in production" if model["in_production"] is None else f"version {model['in_production']} in production"
    return f"Model {name}", figure, ", ".join(part for part in (model["metric"], decision) if part)


def _states(run_steps: Sequence[StepRow]) -> str:
    words = {"skipped": "with nothing to do", "waiting": "not started", "failed": "failed", "running": "at work"}
    counts = {state: sum(row["state"] == state for row in run_steps) for state in words}
    return ", ".join(f"{number} {words[state]}" for state, number in counts.items() if number) or "none skipped"
