"""A breach of freshness that can be seen coming, from how long a run usually takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.ledger.ledger import Ledger
from caudal.ledger.records import runs
from caudal.observers.usual_times import RUN, execution_history, usual_of

if TYPE_CHECKING:
    from caudal.service_levels.assess import AgreementState, ObjectiveState


@dataclass(frozen=True)
class LateForecast:
    """A subject that will be too old before a run can renew it.

    Parameters
    ----------
    due_at : when it will be too old
    start_by : when a run of the usual length must begin to be in time
    expected_s : how long a run usually takes
    ends_at : when the run that is at work is expected to end; None where none is at work
    """

    due_at: float
    start_by: float
    expected_s: float
    ends_at: float | None


def late_forecast(
    ledger: Ledger, product: str, state: AgreementState, objective: ObjectiveState, now: float
) -> LateForecast | None:
    """Return the breach that is coming; None where it is not late yet and a run can still be in time, or runs are too few to tell."""
    fresh = objective.freshness
    if fresh is None or fresh.due_at is None or fresh.age_s > objective.limit or state.kind == "stream":
        return None
    usual = usual_of([execution["seconds"] for execution in execution_history(ledger, product, RUN)])
    if usual is None:
        return None
    start_by = fresh.due_at - usual.expected_s
    running = ledger.find(runs, product=product, state="running", command="run", newest=True, limit=1)
    if running:
        ends_at = max(now, running[0]["started_at"] + usual.expected_s)
        return LateForecast(fresh.due_at, start_by, usual.expected_s, ends_at) if ends_at > fresh.due_at else None
    return LateForecast(fresh.due_at, start_by, usual.expected_s, None) if now >= start_by else None
