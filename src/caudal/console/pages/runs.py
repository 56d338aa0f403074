"""The page of runs: the state of each product, the current step, waiting events, and undelivered alerts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from flask import Response, send_file
from sqlalchemy import func, select

from caudal.console.parts import aria
from caudal.console.site import Ledgers, Page, Site
from caudal.errors import NotThere
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import alerts, events, runs, schedules
from caudal.report.figures import age, duration, plural
from caudal.tables.home import Home

if TYPE_CHECKING:
    from caudal.ledger.rows import AtHand, RunRow

PATH = "/runs"
EVERY_MS = 2000
RUNS_SHOWN = 8  # runs of each product
ALERTS_SHOWN = 5  # alerts of each product
_STATES = {"succeeded": "good", "failed": "bad", "abandoned": "bad"}
_WORDS = {"new": "waiting", "taken": "at work", "failed": "failed"}


def layout(site: Site, path: str) -> Component | None:
    """Return the page; None if the path is another page's."""
    if path != PATH:
        return None
    clock = dcc.Interval(id="runs-clock", interval=EVERY_MS)
    return html.Div([html.H1("Runs"), html.Div(_products(site.ledgers), id="runs", className="runs"), clock])


def offer(app: Dash, site: Site) -> None:
    """Register the page's callback, and the route of the runs' pages."""
    ledgers = site.ledgers

    @app.callback(Output("runs", "children"), Input("runs-clock", "n_intervals"), prevent_initial_call=True)
    def refresh(_times: int) -> list[Component]:
        return _products(ledgers)

    @site.server.route("/runs/<product>/<run_id>", methods=["GET"])
    def page(product: str, run_id: str) -> Response:
        ledger = ledgers.get()
        rows = ledger.find(runs, product=product, run_id=run_id) if ledger else []
        file = ledgers.home.page(product, run_id)
        if not rows or not file.is_file():  # a name from the browser must be known to the ledger
            raise NotThere(f"Product '{product}' has no page of a run '{run_id}'.", fix="See the list at /runs.")
        return send_file(file)


def _products(ledgers: Ledgers) -> list[Component]:
    ledger = ledgers.get()
    names = sorted(row["product"] for row in ledger.rows(select(runs.c.product).distinct())) if ledger else []
    if ledger is None or not names:
        return [html.Section([html.H2("Nothing has run yet"), html.P([html.Code("caudal run FOLDER"), " runs a product. It then appears here by itself."])], className="card")]  # fmt: skip
    return [_product(ledgers.home, ledger, name, time.time()) for name in names]


def _product(home: Home, ledger: Ledger, product: str, now: float) -> Component:
    recent_runs = ledger.find(runs, product=product, newest=True, limit=RUNS_SHOWN)
    return html.Section(
        [
            html.H2(product, id=f"runs-of-{product}"),
            *_up(ledger, product, now),
            *_undelivered_alerts(ledger, product, now),
            html.Div(html.Table([_head(), html.Tbody([_run(home, row, now) for row in recent_runs])]), className="scroll"),
        ],
        className="card",
        **aria(labelledby=f"runs-of-{product}"),
    )


def _head() -> Component:
    return html.Thead(html.Tr([html.Th(name, scope="col") for name in ("Run", "State", "Begun", "Took", "")]))


def _run(home: Home, row: RunRow, now: float) -> Component:
    running = row["state"] == "running"
    run_link = (
        html.A(row["run_id"], href=f"/runs/{row['product']}/{row['run_id']}")
        if home.page(row["product"], row["run_id"]).is_file()
        else row["run_id"]
    )
    took = (row["finished_at"] or now) - row["started_at"]
    return html.Tr([
        html.Th([run_link, html.Span(f" {row['command']}", className="quiet")], scope="row"),
        html.Td(html.Span(row["state"], className=f"tag {_STATES.get(row['state'], '')}".strip())),
        html.Td(age(now - row["started_at"])),
        html.Td(duration(round(took, 0 if running else 1)), className="num"),
        html.Td(_current_step(row["at_hand"], now) if running else (row["error"] or {}).get("what", "")),
    ])  # fmt: skip


def _current_step(step: AtHand | None, now: float) -> Component | str:
    """Return the running step with its duration, marked where it takes longer than usual."""
    if step is None:
        return ""
    usual_text = f", {duration(step['expected_s'])} is usual" if step["expected_s"] is not None else ""
    text = f"{step['step']} for {duration(round(now - step['since']))}{usual_text}"
    return html.Span([text, " ", html.Span("slow", className="tag bad")]) if step["slow"] else text


def _up(ledger: Ledger, product: str, now: float) -> list[Component]:
    """Return the events that wait for the daemon, and its next schedules."""
    counted = ledger.rows(
        select(events.c.state, func.count().label("number")).where(events.c.product == product).group_by(events.c.state)
    )
    parts = [f"{plural(row['number'], 'event')} {_WORDS[row['state']]}" for row in counted if row["state"] in _WORDS]
    for row in ledger.find(schedules, product=product):
        if row["next_at"] is not None:
            when = f"in {duration(round(row['next_at'] - now))}" if row["next_at"] > now else f"was due {age(now - row['next_at'])}"
            parts.append(f"{row['trigger']}: {when}")
    return [html.P("; ".join(parts), className="quiet")] if parts else []


def _undelivered_alerts(ledger: Ledger, product: str, now: float) -> list[Component]:
    """Return the alerts that could not be delivered."""
    failed_alerts = ledger.find(alerts, product=product, state="failed", newest=True, limit=ALERTS_SHOWN)
    return [
        html.P(
            f"Not told: {row['happening']} of {row['subject']}, to {row['target']}: {row['error']} (tried {plural(row['attempts'], 'time')}, begun {age(now - row['at'])})",
            className="note bad",
            role="alert",
        )
        for row in failed_alerts
    ]


ORDER = 30
PAGE = Page("runs", PATH, layout, offer, "Runs")
