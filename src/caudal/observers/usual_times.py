"""What is usual of a step: how long it took before, and where that tends; from the ledger."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs, steps

if TYPE_CHECKING:
    from caudal.report.documents import ExecutionDocument


REMEMBERED = 30  # executions that count
ENOUGH = 5  # fewer say nothing of what is usual
RUN = "run"  # the whole of it, as if it were a step
_DEVIATIONS = 5.0  # of normal times one in three million is so far off
_NORMAL = 1.4826  # standard deviations in a median absolute deviation, where times are normal
_SLOWER, _LONGER_S = 1.5, 5.0  # what is within so much of the usual is not worth telling


@dataclass(frozen=True)
class Usual:
    """What is usual of a step.

    Parameters
    ----------
    expected_s : the median
    limit_s : whoever takes longer is slow: five deviations above the median (by the median deviation, which a few slow ones do not move),
        half as long again and five seconds longer, whichever is most
    trend : by which share of the median it grows with each execution (Theil and Sen's slope); 0 where its 95 % interval holds 0
    """

    expected_s: float
    limit_s: float
    trend: float
    executions: int


def usual_of(seconds: Sequence[float]) -> Usual | None:
    """Return what is usual by past durations, oldest first; None where there are too few.

    Examples
    --------
    >>> found = usual_of([2.0, 2.1, 1.9, 2.0, 2.2, 30.0])
    >>> found.expected_s, found.limit_s, found.trend
    (2.05, 7.05, 0.0)
    >>> usual_of([2.0, 2.1]) is None
    True
    """
    if len(seconds) < ENOUGH:
        return None
    middle = statistics.median(seconds)
    spread = _NORMAL * statistics.median(abs(second - middle) for second in seconds)
    limit_s = max(middle + _DEVIATIONS * spread, _SLOWER * middle, middle + _LONGER_S)
    return Usual(round(middle, 4), round(limit_s, 4), _trend(seconds, middle), len(seconds))


def history(ledger: Ledger, product: str, step: str) -> list[ExecutionDocument]:
    """Return the last executions of a step that did something, oldest first: run, when, how long, how many rows."""
    if step == RUN:
        done = ledger.find(runs, product=product, state="succeeded", command="run", newest=True, limit=REMEMBERED)
        return [
            {"run_id": row["run_id"], "at": row["started_at"], "seconds": round(row["finished_at"] - row["started_at"], 4), "rows": None}
            for row in reversed(done)
            if row["finished_at"] is not None
        ]  # fmt: skip
    rows = ledger.find(steps, product=product, step=step, state="succeeded", newest=True, limit=REMEMBERED)
    return [
        {"run_id": row["run_id"], "at": row["started_at"], "seconds": row["seconds"], "rows": row["rows_read"]}
        for row in reversed(rows)
        if row["seconds"] is not None
    ]


def usual(ledger: Ledger, product: str, step: str) -> Usual | None:
    """Return what is usual of a step; None where it has not been done often enough."""
    return usual_of([one["seconds"] for one in history(ledger, product, step)])


def _trend(seconds: Sequence[float], middle: float) -> float:
    from scipy.stats import theilslopes

    if middle <= 0:
        return 0.0
    slope, _, low, high = theilslopes(seconds)
    return round(float(slope) / middle, 4) if low > 0 or high < 0 else 0.0
