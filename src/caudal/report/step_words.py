"""A step's notes and days in words."""

from __future__ import annotations

from collections.abc import Sequence

from caudal.declarations.days import shifted
from caudal.graph.registered import steps_where
from caudal.ledger.rows import StepRow
from caudal.report.document import detail_of
from caudal.report.figures import duration, plural
from caudal.report.run_document import RunDocument


def step_note(row: StepRow) -> str | None:
    """Return a step's note: why it did nothing, what failed, or how it worked, and its earlier attempts."""
    detail = detail_of(row)
    note = (
        (row["error"] or {}).get("what")
        if row["state"] == "failed"
        else detail.get("why") or detail.get("note") or detail.get("rule")
    )
    attempts = detail.get("attempts", ())
    if not attempts:
        return note
    attempts_text = f"attempt {len(attempts) + 1}; before it: " + "; ".join(
        f"{attempt['error']} ({duration(attempt['seconds'])})" for attempt in attempts
    )
    return f"{note}; {attempts_text}" if note else attempts_text


def days(partitions: Sequence[str], most: int = 3) -> str:
    """Return days as ranges: the first ``most`` ranges, and how many more there are.

    Examples
    --------
    >>> days(["2023-01-01", "2023-01-02", "2023-01-03", "2023-01-07"])
    '2023-01-01 to 2023-01-03, 2023-01-07'
    """
    ranges: list[list[str]] = []
    for day in sorted(partitions):
        if ranges and _next(ranges[-1][-1]) == day:
            ranges[-1].append(day)
        else:
            ranges.append([day])
    range_texts = [range_[0] if len(range_) == 1 else f"{range_[0]} to {range_[-1]}" for range_ in ranges]
    return ", ".join(range_texts[:most]) + (
        f" and {plural(len(range_texts) - most, 'stretch', 'stretches')} more" if len(range_texts) > most else ""
    )


def state_of_table(document: RunDocument, name: str) -> str | None:
    """Return the state in which the step that writes a table ended; None where the run had no such step."""
    names = [f"{kind}:{name}" for kind in steps_where(writes="table")]
    return next((step["state"] for step in document["steps"] if step["step"] in names), None)


def _next(day: str) -> str | None:
    try:
        return shifted(day, 1)
    except ValueError:  # "unknown": rows without a day
        return None
