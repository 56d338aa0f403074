"""Reads an audit's measurements back as a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, measurements
from caudal.ledger.records import steps

if TYPE_CHECKING:
    from caudal.report.documents.audit import (
        AuditDocument,
        AuditedCandidate,
        BetweenDocument,
        ComparedFigure,
        FigureDocument,
        GroupDocument,
        GroupingDocument,
    )


def audit_of(ledger: Ledger, product: str, model: str, version: int) -> AuditDocument | None:
    """Return the newest audit of a version; None where none was made."""
    done = ledger.find(
        steps, product=product, step=f"audit:{model}", state="succeeded", output_version=version, newest=True, limit=1
    )
    if not done:
        return None
    rows = measurements(ledger, product=product, subject=model, subject_kind="model", run_id=done[0]["run_id"])
    by_candidate: dict[str, list[Measurement]] = {}
    for row in reversed(rows):  # in the order in which they were written
        if row.detail.get("audit") in ("overall", "group", "between"):
            by_candidate.setdefault(str(row.detail["candidate"]), []).append(row)
    if not by_candidate:
        return None
    options: Any = next(iter(by_candidate.values()))[0].detail
    return {
        "product": product, "model": model, "version": version, "positive": options["positive"], "min_rows": options["min_rows"],
        "candidates": [_candidate(name, of_candidate, options["by"]) for name, of_candidate in by_candidate.items()],
    }  # fmt: skip


def name_of_group(group: Iterable[object]) -> str:
    """Return the name of a group of several columns.

    Examples
    --------
    >>> name_of_group(["Female", "White"])
    'Female × White'
    """
    return " × ".join(map(str, group))


def _candidate(name: str, rows: Sequence[Measurement], groupings: Sequence[Sequence[str]]) -> AuditedCandidate:
    overall = [row for row in rows if row.detail["audit"] == "overall"]
    first: Any = overall[0].detail
    return {
        "candidate": name, "chosen": bool(first["chosen"]), "rows": int(overall[0].value), "interval": str(first["interval"]),
        "overall": {row.metric: _figure(row) for row in overall[1:]},
        "groupings": [_grouping(list(by), rows) for by in groupings],
        "notes": list(first["notes"]),
    }  # fmt: skip


def _grouping(by: list[str], rows: Sequence[Measurement]) -> GroupingDocument:
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for row in rows:
        if row.detail["audit"] == "group" and list(row.group_by) == by:
            groups.setdefault(row.group_value, []).append(row)
    between = [row for row in rows if row.detail["audit"] == "between" and row.detail["by"] == by]
    return {
        "by": by,
        "groups": [_group(by, of_group) for of_group in groups.values()],
        "between": {row.metric: _between(row) for row in between},
    }


def _group(by: Sequence[str], rows: Sequence[Measurement]) -> GroupDocument:
    first, *figures = rows
    return {
        "group": {column: str(value) for column, value in zip(by, first.group_value, strict=True)},
        "rows": int(first.value),
        "small": bool(first.detail["small"]),
        "figures": {row.metric: _compared(row) for row in figures},
    }


def _compared(row: Measurement) -> ComparedFigure:
    return {
        **_figure(row), "reference": bool(row.detail["reference"]), "differs": bool(row.detail["differs"]),
        "difference": _triple(row.detail.get("difference")), "ratio": _triple(row.detail.get("ratio")),
    }  # fmt: skip


def _between(row: Measurement) -> BetweenDocument:
    lowest: Any = row.detail["lowest"]
    highest: Any = row.detail["highest"]
    return {
        **_figure(row),
        "lowest": None if lowest is None else name_of_group(lowest),
        "highest": None if highest is None else name_of_group(highest),
    }


def _figure(row: Measurement) -> FigureDocument:
    return {"value": row.value, "low": row.low, "high": row.high}


def _triple(values: Any) -> FigureDocument | None:
    return None if values is None else {"value": values[0], "low": values[1], "high": values[2]}
