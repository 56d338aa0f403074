"""The usual duration of a step and its trend, from the ledger."""

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
ENOUGH = 5  # the least number of executions for an estimate
RUN = "run"  # the whole run, treated as a step
_DEVIATIONS = 5.0  # one in three million normally distributed times is farther away
_NORMAL = 1.4826  # standard deviation divided by the median absolute deviation, for a normal distribution
_SLOWER, _LONGER_S = 1.5, 5.0  # a smaller excess, as a factor and in seconds, is not reported


@dataclass(frozen=True)
class Usual:
    """The usual duration of a step.

    Parameters
    ----------
    expected_s : the median
    limit_s : a longer execution is slow: the greatest of the median plus five deviations (estimated from the median absolute deviation,
        which a few slow executions do not change), 1.5 times the median, and the median plus five seconds
    trend : growth with each execution as a share of the median (Theil-Sen slope); 0 where its 95 % interval contains 0
    """

    expected_s: float
    limit_s: float
    trend: float
    executions: int


def usual_of(seconds: Sequence[float]) -> Usual | None:
    """Return the usual duration by past ones, oldest first; None where there are too few.

    Examples
    --------
    >>> times = usual_of([2.0, 2.1, 1.9, 2.0, 2.2, 30.0])
    >>> times.expected_s, times.limit_s, times.trend
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


def execution_history(ledger: Ledger, product: str, step: str) -> list[ExecutionDocument]:
    """Return the last successful executions of a step, oldest first: run, start, duration and rows."""
    if step == RUN:
        run_rows = ledger.find(runs, product=product, state="succeeded", command="run", newest=True, limit=REMEMBERED)
        return [
            {"run_id": row["run_id"], "at": row["started_at"], "seconds": round(row["finished_at"] - row["started_at"], 4), "rows": None}
            for row in reversed(run_rows)
            if row["finished_at"] is not None
        ]  # fmt: skip
    rows = ledger.find(steps, product=product, step=step, state="succeeded", newest=True, limit=REMEMBERED)
    return [
        {"run_id": row["run_id"], "at": row["started_at"], "seconds": row["seconds"], "rows": row["rows_read"]}
        for row in reversed(rows)
        if row["seconds"] is not None
    ]


def usual(ledger: Ledger, product: str, step: str) -> Usual | None:
    """Return the usual duration of a step; None where it has run too few times."""
    return usual_of([execution["seconds"] for execution in execution_history(ledger, product, step)])


def _trend(seconds: Sequence[float], middle: float) -> float:
    from scipy.stats import theilslopes

    if middle <= 0:
        return 0.0
    slope, _, low, high = theilslopes(seconds)
    return round(float(slope) / middle, 4) if low > 0 or high < 0 else 0.0
