"""``caudal sla``: the service levels of products, from the ledger alone."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.commands.status import known_products, resolve_product
from caudal.declarations.settings import Settings
from caudal.graph.load import load
from caudal.ledger.ledger import Ledger
from caudal.observers.alerts.forecast import late_forecast
from caudal.runtime.opening import open_home
from caudal.service_levels.agreed import Agreed, agreed_of, stored_agreed
from caudal.service_levels.assess import AgreementState, ObjectiveState, assess

if TYPE_CHECKING:
    from caudal.report.documents import ObjectiveDocument, ServiceLevelDocument, ServiceLevelsDocument


def service_levels(settings: Settings, product: str | None = None, now: float | None = None) -> ServiceLevelsDocument:
    """Return the service levels of one product or of all in the home, as their last runs have stored them.

    Parameters
    ----------
    product : a product's name, or its folder: then as it is declared now
    now : seconds since 1970; the clock's when left out

    Raises
    ------
    NotThere : no product of that name has run
    """
    home, at = open_home(settings), time.time() if now is None else now
    with contextlib.closing(home.ledger()) as ledger:
        if product is not None and ("/" in product or (Path(product) / "product.py").is_file()):
            agreed: list[Agreed | None] = [agreed_of(load(Path(product)))]
        elif product is not None:
            agreed = [stored_agreed(ledger, resolve_product(home, ledger, product))]
        else:
            agreed = [stored_agreed(ledger, name) for name in known_products(ledger)]
        return {
            "home": str(home.path), "at": at,
            "products": [
                {"product": entry.product, "tz": entry.tz, "service_levels": [_level(ledger, entry, state, at) for state in assess(ledger, entry, at)]}
                for entry in agreed if entry is not None
            ],
        }  # fmt: skip


def _level(ledger: Ledger, agreed: Agreed, state: AgreementState, now: float) -> ServiceLevelDocument:
    level = state.agreement.level
    return {
        "subject": state.agreement.subject, "kind": state.kind, "over_s": level.over_s, "hours": level.hours.text if level.hours else None,
        "objectives": [_objective(ledger, agreed, state, objective, now) for objective in state.objectives],
    }  # fmt: skip


def _objective(ledger: Ledger, agreed: Agreed, state: AgreementState, objective: ObjectiveState, now: float) -> ObjectiveDocument:
    figures, fresh = objective.figures, objective.freshness
    coming = late_forecast(ledger, agreed.product, state, objective, now)
    return {
        "objective": objective.objective, "limit": objective.limit, "target": objective.target, "state": figures.state,
        "level": figures.level, "unit": objective.unit, "bad": figures.bad, "total": figures.total, "budget": figures.budget,
        "budget_left": figures.budget_left,
        "burn": [
            {"window": burn.name, "long": burn.long, "short": burn.short, "limit": burn.limit, "alerts": burn.alerts} for burn in figures.burns
        ],
        "age_s": fresh.age_s if fresh else None, "due_at": fresh.due_at if fresh else None,
        "late": fresh is not None and fresh.age_s > objective.limit,
        "coming": None if coming is None else {
            "due_at": coming.due_at, "start_by": coming.start_by, "expected_s": coming.expected_s, "ends_at": coming.ends_at,
        },
        "history": [{"date": day.date, "level": day.level} for day in objective.history],
    }  # fmt: skip
