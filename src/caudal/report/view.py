"""The head of a run's page and its frame; the sections below stand in ``report/sections``."""

from __future__ import annotations

from collections.abc import Sequence

from caudal.graph.registered import steps_of_label
from caudal.graph.shape import Graph, NodeState
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import RunRow, StepRow
from caudal.report.document import run_document, run_row, step_rows
from caudal.report.figures import duration, moment, plural, score, share, size
from caudal.report.registered import sections
from caudal.report.run_document import ModelDocument, RunDocument
from caudal.report.section import ReportedRun
from caudal.report.step_words import why


def view(ledger: Ledger, run_id: str, graph: Graph) -> dict[str, object]:
    """Return the page's content."""
    run, done, document = run_row(ledger, run_id), step_rows(ledger, run_id), run_document(ledger, run_id)
    reported = ReportedRun(ledger, run, done, document, graph)
    parts = [part for section in sections() if (part := section.page(reported)) is not None]
    return {
        "run": _header(run, document),
        "tiles": _tiles(document, done),
        "links": [link for part in parts for link in part.links],
        "sections": [part.html for part in parts],
    }


def node_states(graph: Graph, done: Sequence[StepRow], document: RunDocument) -> dict[str, NodeState]:
    """Return how each node of the graph stands, from the steps that are about it."""
    found = {}
    for name, node in graph.nodes.items():
        rows = [row for row in done if name in (row["name"], row["step"]) and row["kind"] in steps_of_label(node.kind)]
        if not rows:
            continue
        states = [row["state"] for row in rows]
        state = next((name for name in ("failed", "running", "succeeded", "waiting") if name in states), "skipped")
        notes = [said for row in rows if (said := why(row))]
        model = document["models"].get(name) if node.kind == "model" else None
        if model is not None and model["decision"]:
            notes.append(f"version {model['version']} {model['decision']}")
        written = [row["rows_written"] for row in rows if row["rows_written"] is not None]
        found[name] = NodeState(
            state,
            sum(row["seconds"] or 0.0 for row in rows),
            written[-1] if written else None,
            "; ".join(dict.fromkeys(notes)) or None,
        )
    return found


def _header(run: RunRow, document: RunDocument) -> dict[str, object]:
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


def _tiles(document: RunDocument, done: Sequence[StepRow]) -> list[tuple[str, str, str]]:
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


def _model_tile(name: str, model: ModelDocument) -> tuple[str, str, str]:
    chosen = next((candidate for candidate in model["candidates"] if candidate["chosen"] and candidate["score"] is not None), None)
    told = f"{score(chosen['score'], chosen['spread'])} {model['unit'] or ''}".strip() if chosen else "no score"
    if model["decision"]:
        stands = f"version {model['version']} {model['decision']}"
    else:
        stands = "none in production" if model["in_production"] is None else f"version {model['in_production']} in production"
    return f"Model {name}", told, ", ".join(one for one in (model["metric"], stands) if one)


def _states(done: Sequence[StepRow]) -> str:
    words = {"skipped": "with nothing to do", "waiting": "not started", "failed": "failed", "running": "at work"}
    counts = {state: sum(row["state"] == state for row in done) for state in words}
    return ", ".join(f"{number} {words[state]}" for state, number in counts.items() if number) or "none skipped"
