"""The panel that compares the processing times of platforms, from ``<home>/live/<product>/platforms.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from caudal.console.feeds import streamed_products
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


def offer_panel(app: Dash, home: Path) -> None:
    """Register the panel's callback: a new comparison appears by itself."""

    @app.callback(
        Output("platforms", "children"),
        Input("platforms-clock", "n_intervals"),
        Input("platforms-product", "data"),
        prevent_initial_call=True,
    )
    def refresh(_times: int, product: str) -> Component:
        return _content(home, product)


def read_platforms(home: Path, product: str) -> list[dict[str, Any]] | None:
    """Return the platforms, fastest first; None if there is no comparison (or it cannot be read)."""
    if product not in streamed_products(home):  # the name comes from the browser, and must not lead out of the folder
        return None
    try:
        documents = json.loads((Home(home).live(product) / FILE).read_text())
        rows = [
            {**document, "platform": str(document["platform"]), "readings_per_s": float(document["readings_per_s"])}
            for document in documents
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return sorted(rows, key=lambda row: -row["readings_per_s"])


def _content(home: Path, product: str) -> Component:
    rows = read_platforms(home, product)
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


def _row(row: dict[str, Any], fastest: float) -> Component:
    share = f"{100 * row['readings_per_s'] / fastest:.1f}%"
    p95 = row.get("p95_s")
    return html.Tr(
        [
            html.Th([row["platform"], html.Div(html.Div(style={"width": share}), className="bar")], scope="row"),
            html.Td(f"{row['readings_per_s']:,.0f}", className="num"),
            html.Td("–" if p95 is None else f"{p95:.3g} s", className="num"),
        ]
    )
