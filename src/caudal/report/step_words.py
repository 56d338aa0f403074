"""What a step says of itself, in words."""

from __future__ import annotations

from collections.abc import Sequence

from caudal.declarations.days import shifted
from caudal.graph.registered import steps_where
from caudal.ledger.rows import StepRow
from caudal.report.document import detail_of
from caudal.report.figures import duration, plural
from caudal.report.run_document import RunDocument


def why(row: StepRow) -> str | None:
    """Return what a step says of itself: why it did nothing, what failed, how it worked."""
    said = detail_of(row)
    told = (row["error"] or {}).get("what") if row["state"] == "failed" else said.get("why") or said.get("note") or said.get("rule")
    before = said.get("attempts", ())
    if not before:
        return told
    tried = f"attempt {len(before) + 1}; before it: " + "; ".join(
        f"{attempt['error']} ({duration(attempt['seconds'])})" for attempt in before
    )
    return f"{told}; {tried}" if told else tried


def days(partitions: Sequence[str], most: int = 3) -> str:
    """Return days as stretches.

    Examples
    --------
    >>> days(["2023-01-01", "2023-01-02", "2023-01-03", "2023-01-07"])
    '2023-01-01 to 2023-01-03, 2023-01-07'
    """
    stretches: list[list[str]] = []
    for day in sorted(partitions):
        if stretches and _next(stretches[-1][-1]) == day:
            stretches[-1].append(day)
        else:
            stretches.append([day])
    said = [stretch[0] if len(stretch) == 1 else f"{stretch[0]} to {stretch[-1]}" for stretch in stretches]
    return ", ".join(said[:most]) + (f" and {plural(len(said) - most, 'stretch', 'stretches')} more" if len(said) > most else "")


def state_of_table(document: RunDocument, name: str) -> str | None:
    """Return how the step that writes a table ended."""
    names = [f"{kind}:{name}" for kind in steps_where(writes="table")]
    return next((step["state"] for step in document["steps"] if step["step"] in names), None)


def _next(day: str) -> str | None:
    try:
        return shifted(day, 1)
    except ValueError:  # "unknown": rows without a day
        return None
