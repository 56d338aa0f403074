"""The page of monitors: each figure with its newest window, what is expected of it, and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from caudal.console.parts import aria, bars, empty, wide_table
from caudal.console.site import Ledgers, Page, Site
from caudal.report.figures import number_text, plural
from caudal.report.monitors import monitored_products, monitors_document
from caudal.report.terminal.monitors import expected

if TYPE_CHECKING:
    from caudal.report.documents.monitors import MonitorDocument, MonitoredFigure

PATH = "/monitors"
EVERY_MS = 10_000
HISTORY = 30  # windows
TAGS = {"alarm": "bad", "inside": "good"}
COLUMNS = ("Figure", "Newest window", "Expected", "State", "History")


def layout(site: Site, path: str) -> Component | None:
    """Return the page; None if the path is another page's."""
    if path != PATH:
        return None
    clock = dcc.Interval(id="monitors-clock", interval=EVERY_MS)
    return html.Div([html.H1("Monitors"), html.Div(_monitors(site.ledgers), id="monitors", className="runs"), clock])


def offer(app: Dash, site: Site) -> None:
    """Register the page's callback."""

    @app.callback(Output("monitors", "children"), Input("monitors-clock", "n_intervals"), prevent_initial_call=True)
    def refresh(_times: int) -> list[Component]:
        return _monitors(site.ledgers)


def _monitors(ledgers: Ledgers) -> list[Component]:
    ledger = ledgers.get()
    products = monitored_products(ledger) if ledger else []
    if ledger is None or not products:
        return [empty("Nothing is monitored yet", "product.monitor(model)", " in a product lets each run compare its windows.")]
    return [
        _monitor(product, monitor) for product in products for monitor in monitors_document(ledger, product)["monitors"]
    ]  # fmt: skip


def _monitor(product: str, monitor: MonitorDocument) -> Component:
    name = f"{product} {monitor['monitor']}"
    versions = [figure["reference"] for figure in monitor["figures"] if figure["reference"] is not None]
    against = f"what version {max(versions)} learned from" if versions else "the windows before"
    left_out = "; ".join(f"{column} ({reason})" for column, reason in monitor["left_out"].items())
    words = (
        f"{plural(monitor['windows'], 'window')}, compared with {against}."
        if monitor["figures"]
        else "All windows so far belong to the reference; later ones will be compared with them."
    )
    return html.Section(
        [
            html.H2(name, id=f"monitor-{product}-{monitor['monitor']}"),
            html.P(words + (f" Not watched: {left_out}." if left_out else ""), className="quiet"),
            *([wide_table(COLUMNS, [_figure(figure) for figure in monitor["figures"]])] if monitor["figures"] else []),
        ],
        className="card",
        **aria(labelledby=f"monitor-{product}-{monitor['monitor']}"),
    )


def _figure(figure: MonitoredFigure) -> Component:
    values = [window["value"] for window in figure["history"][-HISTORY:]]
    return html.Tr([
        html.Th(figure["figure"], scope="row"),
        html.Td(number_text(figure["value"]), className="num"),
        html.Td(expected(figure), className="num"),
        html.Td(html.Span(figure["state"], className=f"tag {TAGS.get(figure['state'], '')}".strip())),
        html.Td(bars(values, f"the last {plural(len(values), 'window')}")),
    ])  # fmt: skip


ORDER = 40
PAGE = Page("monitors", PATH, layout, offer, "Monitors")
