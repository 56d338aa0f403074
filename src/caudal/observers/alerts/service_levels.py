"""Events of service levels: a subject that is late or will be, a budget that is spent too fast, a level that is breached."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from caudal.declarations.duration import text
from caudal.declarations.product import Product
from caudal.ledger.ledger import Ledger
from caudal.observers.alerts.forecast import LateForecast, late_forecast
from caudal.observers.alerts.happen import AlertEvent
from caudal.report.figures import duration

if TYPE_CHECKING:
    from caudal.service_levels.assess import AgreementState, ObjectiveState


def service_level_events(ledger: Ledger, product: Product, now: float) -> Iterator[AlertEvent]:
    """Yield the events of a product's agreements; those of the simple form only tell of late tables (`late_tables`)."""
    if not product.agreements:
        return
    from caudal.service_levels.agreed import agreed_of
    from caudal.service_levels.assess import assess

    for state in assess(ledger, agreed_of(product, simple=False), now):
        for objective in state.objectives:
            yield from _events(ledger, product, state, objective, now)


def _events(ledger: Ledger, product: Product, state: AgreementState, objective: ObjectiveState, now: float) -> Iterator[AlertEvent]:
    from caudal.service_levels import words

    subject, figures, over_s = state.agreement.subject, objective.figures, state.agreement.level.over_s
    if objective.objective == "fresh" and (late := _late(state, objective)):
        yield late
    elif forecast := late_forecast(ledger, product.name, state, objective, now):
        yield _coming(product, subject, objective, forecast)
    left = figures.budget_left
    facts = {
        "of": subject,
        "objective": objective.objective,
        "level": figures.level,
        "target": objective.target,
        "budget_left": left,
    }
    fix = f"See it: caudal sla {product.name}"
    alerting = [burn for burn in figures.burns if burn.alerts]
    if (
        figures.state == "breached" and figures.burns[-1].long > 0
    ):  # it is told of while more goes wrong, not for as long as it is remembered
        title = f"{subject} is below its SLA ({objective.objective})"
        yield AlertEvent(
            "sla",
            f"{subject} {objective.objective} breached",
            words.measured(subject, objective, over_s),
            fix,
            {**facts, "heading": title},
        )
    elif figures.state == "burning":
        burn = alerting[0]
        what = (
            f"'{subject}' spends the error budget of its SLA ({objective.objective}) {burn.long:.1f} times as fast as allowed: "
            f"{words.percent_text(left or 0.0)} of it is left for {text(over_s)}."
        )
        title = f"{subject} spends its error budget ({objective.objective})"
        more = {"burn": burn.long, "burn_limit": burn.limit, "window": burn.name, "heading": title}
        yield AlertEvent("sla", f"{subject} {objective.objective} burning", what, fix, facts | more)


def _late(state: AgreementState, objective: ObjectiveState) -> AlertEvent | None:
    subject, fresh, hours = state.agreement.subject, objective.freshness, state.agreement.level.hours
    promised = text(objective.limit)
    if fresh is None:
        never = "has never had a reading" if state.kind == "stream" else "has never been published"
        return AlertEvent("sla", subject, f"'{subject}' has an SLA of {promised}, and {never}.")
    if fresh.age_s <= objective.limit:
        return None
    of_hours = f" of working time ({hours.text})" if hours else ""
    return AlertEvent("sla", subject, f"'{subject}' is {text(round(fresh.age_s / 60) * 60)}{of_hours} old; its SLA is {promised}.")


def _coming(product: Product, subject: str, objective: ObjectiveState, forecast: LateForecast) -> AlertEvent:
    at, ends = (_clock(moment, product.tz) for moment in (forecast.due_at, forecast.ends_at or forecast.due_at))
    usual = duration(forecast.expected_s)
    why, fix = f"a run usually takes {usual}, and none has begun", "Run the product now, or more often."
    if forecast.ends_at is not None:
        why, fix = f"the run at work is expected to end at {ends} (it usually takes {usual})", "See what takes long: caudal times"
    facts = {
        "of": subject,
        "objective": objective.objective,
        "due_at": forecast.due_at,
        "start_by": forecast.start_by,
        "ends_at": forecast.ends_at,
    }
    what = f"'{subject}' will be older than {text(objective.limit)} at {at}: {why}."
    return AlertEvent("sla", f"{subject} fresh coming", what, fix, {**facts, "heading": f"{subject} will be late"})


def _clock(moment: float, tz: str) -> str:
    return dt.datetime.fromtimestamp(moment, ZoneInfo(tz)).strftime("%Y-%m-%d %H:%M %Z")
