"""The page of service levels: what is promised, what was measured, what is left of the error budget."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from sqlalchemy import select

from caudal.console.parts import aria, bars, empty, wide_table
from caudal.console.site import Ledgers, Page, Site
from caudal.declarations.duration import text
from caudal.ledger.records import runs
from caudal.service_levels.agreed import stored_agreed
from caudal.service_levels.assess import assess
from caudal.service_levels.words import percent_text, promised

if TYPE_CHECKING:
    from caudal.service_levels.assess import AgreementState, ObjectiveState

PATH = "/service-levels"
EVERY_MS = 10_000
TAGS = {"met": "good", "breached": "bad"}
COLUMNS = ("Of", "Objective", "Promised", "Over", "Measured", "Budget left", "Burn 1 h", "Burn 6 h", "State", "Days")


def layout(site: Site, path: str) -> Component | None:
    """Return the page; None if the path is another page's."""
    if path != PATH:
        return None
    clock = dcc.Interval(id="service-levels-clock", interval=EVERY_MS)
    levels = html.Div(_products(site.ledgers), id="service-levels", className="runs")
    return html.Div([html.H1("Service levels"), levels, clock])


def offer(app: Dash, site: Site) -> None:
    """Register the page's callback."""

    @app.callback(Output("service-levels", "children"), Input("service-levels-clock", "n_intervals"), prevent_initial_call=True)
    def refresh(_times: int) -> list[Component]:
        return _products(site.ledgers)


def _products(ledgers: Ledgers) -> list[Component]:
    ledger, now = ledgers.get(), time.time()
    cards: list[Component] = []
    for row in ledger.rows(select(runs.c.product).distinct().order_by(runs.c.product)) if ledger else []:
        assert ledger is not None
        agreed = stored_agreed(ledger, row["product"])
        if agreed is not None:
            cards.append(_product(row["product"], assess(ledger, agreed, now)))
    return cards or [
        empty("No service level is declared", "product.sla(…)", " in a product promises something from its next run on.")
    ]


def _product(product: str, states: list[AgreementState]) -> Component:
    lines = [_objective(state, objective) for state in states for objective in state.objectives]
    return html.Section(
        [html.H2(product, id=f"levels-of-{product}"), wide_table(COLUMNS, lines)],
        className="card",
        **aria(labelledby=f"levels-of-{product}"),
    )


def _objective(state: AgreementState, objective: ObjectiveState) -> Component:
    figures, level = objective.figures, state.agreement.level
    has_figures = figures.level is not None
    days = [day.level for day in objective.history if day.level is not None]
    return html.Tr([
        html.Th(state.agreement.subject, scope="row"),
        html.Td(objective.objective),
        html.Td(promised(objective.objective, objective.limit, objective.target)),
        html.Td(text(level.over_s) + (f", {level.hours.text}" if level.hours else "")),
        html.Td(percent_text(figures.level or 0.0) if has_figures else "–", className="num"),
        html.Td(percent_text(figures.budget_left or 0.0) if has_figures else "–", className="num"),
        *(html.Td(f"{burn.long:.1f}", className="num") for burn in figures.burns),
        html.Td(html.Span(figures.state, className=f"tag {TAGS.get(figures.state, '')}".strip())),
        html.Td(bars(days, f"{len(days)} days, the newest {percent_text(days[-1])} good" if days else "no figures")),
    ])  # fmt: skip


ORDER = 50
PAGE = Page("service_levels", PATH, layout, offer, "Service levels")
