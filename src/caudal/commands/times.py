"""``caudal times``: how long the steps of a product take, and where that tends; all from the ledger."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy import select

from caudal.commands.status import the_product
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.ledger.records import steps
from caudal.observers.usual_times import RUN, Usual, history, usual_of
from caudal.runtime.opening import open_home

if TYPE_CHECKING:
    from caudal.report.documents import ExecutionDocument, StepTimes, TimesDocument, UsualDocument


def times(settings: Settings, product: str | None, step: str | None = None) -> TimesDocument:
    """Return the history of each step of a product, of one step only where told, with what is usual and where it tends."""
    home = open_home(settings)
    with contextlib.closing(home.ledger()) as ledger:
        name = the_product(home, ledger, product)
        asked = select(steps.c.step).where(steps.c.product == name, steps.c.state == "succeeded").distinct()
        known = [*sorted(row["step"] for row in ledger.rows(asked)), RUN]
        if step is not None and step not in known:
            raise NotThere(
                f"'{name}' has no step '{step}' that was ever done.",
                nearest=nearest(step, known),
                fix=f"There are: {', '.join(known)}.",
            )
        found = [(one, history(ledger, name, one)) for one in ([step] if step else known)]
        return {"product": name, "steps": [_told(one, done) for one, done in found if done]}


def _told(step: str, done: list[ExecutionDocument]) -> StepTimes:
    found = usual_of([one["seconds"] for one in done])
    return {"step": step, "last_s": done[-1]["seconds"], "usual": _usual(found) if found else None, "history": done}


def _usual(usual: Usual) -> UsualDocument:
    return {"expected_s": usual.expected_s, "limit_s": usual.limit_s, "trend": usual.trend, "executions": usual.executions}
