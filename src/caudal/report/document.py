"""A run's document, built from the ledger: ``--json`` prints it, terminal and page show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from caudal.errors import NotThere, nearest
from caudal.ledger.json_ready import json_ready
from caudal.ledger.ledger import Ledger
from caudal.ledger.minutes import whole_stream
from caudal.ledger.records import runs, steps
from caudal.ledger.rows import FileDocument, RunRow, StepDetail, StepRow
from caudal.report.figures import plural
from caudal.report.registered import sections
from caudal.report.run_document import ModelDocument, RunDocument
from caudal.report.section import RecordedRun


def run_document(ledger: Ledger, run_id: str) -> RunDocument:
    """Return what a run did, JSON-ready.

    Raises
    ------
    NotThere : the ledger has no such run
    """
    run, run_steps = run_row(ledger, run_id), step_rows(ledger, run_id)
    record = RecordedRun(ledger, run, run_steps)
    parts = {section.name: part for section in sections() if (part := section.document(record)) is not None}
    document: dict[str, object] = parts | {
        "run_id": run_id, "product": run["product"], "command": run["command"], "state": run["state"],
        "outcome": run_outcome(run["state"], cast("dict[str, ModelDocument]", parts["models"])), "started_at": iso(run["started_at"]), "seconds": seconds_of(run, run_steps),
        "who": run["who"], "page": (run["summary"] or {}).get("page"), "error": run["error"],
    }  # fmt: skip
    order = dict.fromkeys(RunDocument.__annotations__) | dict.fromkeys(document)  # parts of other packages come last
    return cast("RunDocument", json_ready({name: document[name] for name in order if name in document}))


def run_row(ledger: Ledger, run_id: str) -> RunRow:
    """Return a run's row of the ledger."""
    rows = ledger.find(runs, run_id=run_id)
    if not rows:
        run_ids = [row["run_id"] for row in ledger.find(runs, newest=True, limit=200)]
        raise NotThere(f"The ledger knows no run '{run_id}'.", nearest=nearest(run_id, run_ids), run_id=run_id)
    return rows[0]


def step_rows(ledger: Ledger, run_id: str) -> list[StepRow]:
    """Return a run's steps in the order in which they ended; of a step that was recorded twice only the last record, of a stream's their sum."""
    rows = ledger.find(steps, run_id=run_id)
    if any("micro_batches" in (row["detail"] or {}) for row in rows):
        return whole_stream(rows)
    return list({row["step"]: row for row in rows}.values())


def seconds_of(run: RunRow, run_steps: Sequence[StepRow]) -> float | None:
    """Return how long a run took; for one that died, the time until its last step ended."""
    if run["state"] == "abandoned":
        end_times = [row["finished_at"] for row in run_steps if row["finished_at"] is not None]
        return round(max(end_times) - run["started_at"], 4) if end_times else None
    return None if run["finished_at"] is None else round(run["finished_at"] - run["started_at"], 4)


def iso(at: float | None) -> str | None:
    """Return seconds since 1970 as an ISO time in UTC.

    Examples
    --------
    >>> iso(0.5)
    '1970-01-01T00:00:00Z'
    """
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def detail_of(row: StepRow | None) -> StepDetail:
    """Return a step's detail: what it recorded besides its counts; an empty one where it has none."""
    return (row["detail"] or {}) if row else {}


def files_of(row: StepRow) -> list[FileDocument]:
    """Return the files that a step lists, as a landing does; none of a step that only counts its files."""
    files = detail_of(row).get("files")
    return files if isinstance(files, list) else []


def run_outcome(state: str, models: Mapping[str, ModelDocument]) -> str:
    """Return how a run ended, in words, with the models that its gates refused.

    Examples
    --------
    >>> run_outcome("succeeded", {"demand": {"decision": "refused"}, "fare": {"decision": "promoted"}})
    'succeeded, model demand refused'
    >>> run_outcome("failed", {"demand": {"decision": None}})
    'failed'
    """
    refused = [name for name, model in models.items() if model["decision"] == "refused"]
    if not refused:
        return state
    return f"{state}, model{'s'[: len(refused) > 1]} {' and '.join(refused)} refused"


def rows_learned(rows: Mapping[str, object]) -> str:
    """Return in words how many rows a model learned from, and how many were left out.

    Examples
    --------
    >>> rows_learned({"rows": 900, "unlabelled": 100, "older": 0})
    'learned from 900 rows; 100 rows without a label are predicted only'
    >>> rows_learned({"rows": 900, "unlabelled": 0, "older": 50})
    'learned from the newest 900 rows; 50 older rows are left out'
    """
    learned, unlabelled, older = (
        number if isinstance(number := rows.get(name), int) else 0 for name in ("rows", "unlabelled", "older")
    )
    parts = [f"learned from {'the newest ' if older else ''}{plural(learned, 'row')}"]
    if unlabelled:
        parts.append(f"{plural(unlabelled, 'row')} without a label {'is' if unlabelled == 1 else 'are'} predicted only")
    if older:
        parts.append(f"{plural(older, 'older row')} {'is' if older == 1 else 'are'} left out")
    return "; ".join(parts)
