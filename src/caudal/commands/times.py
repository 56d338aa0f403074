"""``caudal times``: durations of a product's steps and their trend, from the ledger."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy import select

from caudal.commands.status import resolve_product
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.ledger.records import steps
from caudal.observers.usual_times import RUN, Usual, execution_history, usual_of
from caudal.runtime.opening import open_home

if TYPE_CHECKING:
    from caudal.report.documents import ExecutionDocument, StepTimes, TimesDocument, UsualDocument


def step_times(settings: Settings, product: str | None, step: str | None = None) -> TimesDocument:
    """Return the history of each step of a product, or of one step, with its usual duration and trend."""
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        name = resolve_product(home, ledger, product)
        query = select(steps.c.step).where(steps.c.product == name, steps.c.state == "succeeded").distinct()
        step_names = [*sorted(row["step"] for row in ledger.rows(query)), RUN]
        if step is not None and step not in step_names:
            raise NotThere(
                f"'{name}' has no step '{step}' that was ever done.",
                nearest=nearest(step, step_names),
                fix=f"There are: {', '.join(step_names)}.",
            )
        histories = [(step_name, execution_history(ledger, name, step_name)) for step_name in ([step] if step else step_names)]
        return {"product": name, "steps": [_step_times(step_name, executions) for step_name, executions in histories if executions]}


def _step_times(step: str, executions: list[ExecutionDocument]) -> StepTimes:
    usual = usual_of([execution["seconds"] for execution in executions])
    return {"step": step, "last_s": executions[-1]["seconds"], "usual": _usual(usual) if usual else None, "history": executions}


def _usual(usual: Usual) -> UsualDocument:
    return {"expected_s": usual.expected_s, "limit_s": usual.limit_s, "trend": usual.trend, "executions": usual.executions}
