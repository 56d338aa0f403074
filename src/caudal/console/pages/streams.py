"""The first page: the streams, and which of them run."""

from __future__ import annotations

import time
from pathlib import Path

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from caudal.console.feeds import STOPPED_AFTER_S, age_s, feed_of, last_of, streamed_products
from caudal.console.parts import aria
from caudal.console.site import Page, Site
from caudal.messaging.updates import Update

PATH = "/"
EVERY_MS = 2000


def layout(site: Site, path: str) -> Component | None:
    """Return the list of streams; None if the path is another page's."""
    if path != PATH:
        return None
    return html.Div(
        [html.H1("Streams"), html.Div(_cards(site.home), id="streams"), dcc.Interval(id="streams-clock", interval=EVERY_MS)]
    )


def offer(app: Dash, site: Site) -> None:
    """Register the page's callback, which refreshes the list every two seconds."""

    @app.callback(Output("streams", "children"), Input("streams-clock", "n_intervals"), prevent_initial_call=True)
    def refresh(_times: int) -> list[Component]:
        return _cards(site.home)


def _cards(home: Path) -> list[Component]:
    cards = [_card(product, last_of(feed_of(home, product))) for product in streamed_products(home)]
    return cards or [_no_streams()]


def _card(product: str, last: Update | None) -> Component:
    facts: list[Component] = [html.P([_state(last), " ", html.Span(_figures(last), className="quiet")])]
    return html.Section(
        [
            html.Div([html.H2(html.A(product, href=f"/live/{product}"), id=f"stream-{product}"), *facts]),
            html.P(html.A("Live view", href=f"/live/{product}", className="button"), className="actions"),
        ],
        className="card model",
        **aria(labelledby=f"stream-{product}"),
    )


def _state(last: Update | None) -> Component:
    if last is None:
        return html.Span("nothing yet", className="tag")
    if age_s(last) < STOPPED_AFTER_S:
        return html.Span("live", className="tag good")
    return html.Span(f"stopped since {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(last['at']))} UTC", className="tag")


def _figures(last: Update | None) -> str:
    if last is None:
        return "No update was written yet."
    sensors, total = len(last.get("sensors") or ()), last.get("total") or 0
    return f"{sensors} sensors, {last.get('rate') or 0:,.0f} readings/s, {total:,} readings in all"


def _no_streams() -> Component:
    return html.Section(
        [
            html.H2("No stream has run yet"),
            html.P([html.Code("caudal stream FOLDER"), " starts a product's streams. They then appear here by themselves."]),
        ],
        className="card",
    )


ORDER = 10
PAGE = Page("streams", PATH, layout, offer, "Streams")
