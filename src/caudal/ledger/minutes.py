"""Micro-batches of a stream added up: what the ledger keeps of a step in a minute, and a run's page of a whole stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from caudal.ledger.rows import ExpectationDocument, StepDetail, StepRow

MINUTE_S = 60.0
NOTES_KEPT = 20
_SUMMED = ("rows_read", "rows_written", "rows_quarantined", "seconds")


def is_of_minute(row: Mapping[Any, Any], at: float) -> bool:
    """Return whether a step's row ended in the minute of a time, seconds since 1970."""
    return row["finished_at"] is not None and row["finished_at"] // MINUTE_S == at // MINUTE_S


def sum_steps(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step's row for two micro-batches, or parts of a stream: counts are added up, what the step left is that of the later."""
    row = {**earlier, **later, "started_at": earlier["started_at"]}
    for name in _SUMMED:
        counts = [count for count in (earlier.get(name), later.get(name)) if count is not None]
        row[name] = round(sum(counts), 4) if counts else None
    days = [part["partitions"] for part in (earlier, later) if part.get("partitions") is not None]
    row["partitions"] = sorted(set().union(*days)) if days else None
    row["detail"] = _sum_details(earlier.get("detail") or StepDetail(), later.get("detail") or StepDetail())
    if later["state"] == "succeeded":
        row["detail"].pop("why", None)
    return row


def _sum_details(earlier: StepDetail, later: StepDetail) -> StepDetail:
    detail = cast(StepDetail, {**earlier, **later})
    detail["micro_batches"] = earlier.get("micro_batches", 0) + later.get("micro_batches", 0)
    reasons = {**earlier.get("reasons", {})}
    for reason, rows in later.get("reasons", {}).items():
        reasons[reason] = reasons.get(reason, 0) + rows
    if reasons:
        detail["reasons"] = reasons
    if "landed" in earlier or "landed" in later:
        detail["landed"] = earlier.get("landed", 0) + later.get("landed", 0)
    if notes := [*dict.fromkeys([*earlier.get("notes", ()), *later.get("notes", ())])]:
        detail["notes"] = notes[:NOTES_KEPT]
    if attempts := [*earlier.get("attempts", ()), *later.get("attempts", ())]:
        detail["attempts"] = attempts[-NOTES_KEPT:]
    return detail


def sum_checks(earlier: Sequence[Mapping[str, Any]], later: Sequence[ExpectationDocument]) -> list[ExpectationDocument]:
    """Return what expectations counted in the micro-batches of a stream: one that was broken in any is broken."""
    before = {row["expectation"]: row for row in earlier}
    checks: list[ExpectationDocument] = []
    for check in later:
        row = before.get(check["expectation"])
        if row is None:
            checks.append(check)
            continue
        rows, broken = (_sum(row[name], check[name]) for name in ("rows", "broken"))
        message = check["message"] if not check["passed"] else row["message"]
        checks.append({**check, "rows": rows, "broken": broken, "passed": check["passed"] and row["passed"], "message": message})
    named = {check["expectation"] for check in later}
    kept = [{name: row[name] for name in ExpectationDocument.__annotations__} for row in earlier if row["expectation"] not in named]
    return [*checks, *cast("list[ExpectationDocument]", kept)]


def _sum(earlier: int | None, later: int | None) -> int | None:
    return later if earlier is None else earlier if later is None else earlier + later


def whole_stream(rows: Sequence[StepRow]) -> list[StepRow]:
    """Return the steps of a stream, each once, in the order in which they first began."""
    steps: dict[str, StepRow] = {}
    for row in rows:
        steps[row["step"]] = cast(StepRow, sum_steps(steps[row["step"]], row)) if row["step"] in steps else row
    return sorted(steps.values(), key=lambda row: row["started_at"] or 0.0)
