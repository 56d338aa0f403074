"""The panel that compares the processing times of platforms, from ``<home>/live/<product>/platforms.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from caudal.console.feeds import products
from caudal.tables.home import Home

FILE = "platforms.json"
COMMAND = "python -m benchmarks.stream --only peers --home {home} --product {product}"
EVERY_MS = 10_000


def panel(home: Path, product: str) -> Component:
    """Return the panel of a product."""
    return html.Section(
        [
            html.H2("Platforms compared"),
            html.Div(_content(home, product), id="platforms"),
            dcc.Store(id="platforms-product", data=product),
            dcc.Interval(id="platforms-clock", interval=EVERY_MS),
        ],
        className="card",
    )


def offer(app: Dash, home: Path) -> None:
    """Give the panel its callback: a comparison that is made meanwhile appears by itself."""

    @app.callback(
        Output("platforms", "children"),
        Input("platforms-clock", "n_intervals"),
        Input("platforms-product", "data"),
        prevent_initial_call=True,
    )
    def looked(_times: int, product: str) -> Component:
        return _content(home, product)


def read(home: Path, product: str) -> list[dict[str, Any]] | None:
    """Return the platforms by falling speed, None where no comparison was made (or it cannot be read)."""
    if product not in products(home):  # the name comes from the browser, and must not lead out of the folder
        return None
    try:
        found = json.loads((Home(home).live(product) / FILE).read_text())
        rows = [{**one, "platform": str(one["platform"]), "readings_per_s": float(one["readings_per_s"])} for one in found]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return sorted(rows, key=lambda one: -one["readings_per_s"])


def _content(home: Path, product: str) -> Component:
    rows = read(home, product)
    if not rows:
        return html.P(
            ["No comparison yet. ", html.Code(COMMAND.format(home=home, product=product)), " makes it."], className="note"
        )
    fastest = max(row["readings_per_s"] for row in rows) or 1.0
    head = [
        html.Th("Platform", scope="col"),
        html.Th("Readings/s", scope="col", className="num"),
        html.Th("p95", scope="col", className="num"),
    ]
    return html.Table([html.Thead(html.Tr(head)), html.Tbody([_row(row, fastest) for row in rows])], className="platforms")


def _row(one: dict[str, Any], fastest: float) -> Component:
    share = f"{100 * one['readings_per_s'] / fastest:.1f}%"
    p95 = one.get("p95_s")
    return html.Tr(
        [
            html.Th([one["platform"], html.Div(html.Div(style={"width": share}), className="bar")], scope="row"),
            html.Td(f"{one['readings_per_s']:,.0f}", className="num"),
            html.Td("–" if p95 is None else f"{p95:.3g} s", className="num"),
        ]
    )
