"""The live view of a product's streams: controls and placeholders; ``assets/`` draws their content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from caudal.console import platforms
from caudal.console.feeds import feed_of, last_of, streamed_products
from caudal.console.parts import aria, notice
from caudal.console.site import Page, Site
from caudal.errors import NotThere

PATH = "/live/"
SPANS_S = (10, 30, 60, 120)

# id, name, second line before the first update
TILES = (
    ("rate", "Throughput", "readings/s"),
    ("p50", "Latency p50", "reading to result"),
    ("p95", "Latency p95", "reading to result"),
    ("watermark", "Watermark", "behind the newest reading"),
    ("state", "State", "open windows"),
    ("late", "Late", "readings, dropped and counted"),
    ("duplicates", "Duplicates", "readings, dropped and counted"),
    ("unreadable", "Unreadable", "messages, set aside"),
)


def layout(site: Site, path: str) -> Component | None:
    """Return the live view of the product in a path; None if the path is another page's."""
    if not path.startswith(PATH):
        return None
    home, product = site.home, path.removeprefix(PATH).strip("/")
    try:
        last = last_of(feed_of(home, product))
    except NotThere as error:
        return notice("No such stream", error.sentence())
    return html.Div(
        [
            html.P([html.A("Streams", href="/"), f" / {product}"], className="over"),
            html.Div([html.H1(product), _state()], className="title live-title"),
            _controls(home, product, list(last.get("sensors", ())) if last else []),
            html.Div([_tile(*tile) for tile in TILES], className="readout"),
            _signals(),
            html.Div([_focus(), html.Div([_classes(), _anomalies()])], className="columns"),
            html.Div([_batch(), platforms.panel(home, product)], className="columns even"),
        ],
        id="live",
    )


def offer(app: Dash, site: Site) -> None:
    """Register the page's callbacks; those that follow the stream run in the browser."""
    platforms.offer_panel(app, site.home)
    for name, inputs in (
        ("follow", [Input("followed", "data")]),
        ("choose", [Input("span", "value"), Input("sensors", "value")]),
        ("pause", [Input("pause", "n_clicks")]),
        ("every", [Input("all-sensors", "n_clicks")]),
        ("none", [Input("no-sensors", "n_clicks")]),
    ):
        result = Output(f"done-{name}", "data")
        app.clientside_callback(ClientsideFunction("live", name), result, *inputs)  # type: ignore[no-untyped-call]


def _state() -> Component:
    return html.P(
        [
            html.Span("connecting", className="tag", id="state-tag", role="status"),
            html.Span(id="state-text", className="quiet"),
        ],
        className="live-state",
    )


def _controls(home: Path, product: str, sensors: list[str]) -> Component:
    # Native lists: Dash's cannot be used by keyboard, and screen readers do not read their names. ``assets/callbacks.js`` follows them.
    product_select = html.Select([html.Option(product, value=product) for product in streamed_products(home)], id="product")
    stores = [dcc.Store(id="followed", data=product)] + [
        dcc.Store(id=f"done-{name}") for name in ("follow", "choose", "pause", "every", "none")
    ]
    return html.Section(
        [
            _labelled("Product", product_select),
            _labelled("Stream and device", html.Select([], id="stream")),
            html.Fieldset(
                [
                    html.Legend("Time span"),
                    dcc.RadioItems(
                        [{"label": f"{span_s} s" if span_s < 60 else f"{span_s // 60} min", "value": span_s} for span_s in SPANS_S],
                        30,
                        id="span",
                        inline=True,
                        className="segments",
                    ),
                ]
            ),
            html.Details(
                [
                    html.Summary(["Sensors shown ", html.Span(id="sensors-shown", className="quiet")]),
                    html.P(
                        [
                            html.Button("All", id="all-sensors", className="plain", type="button"),
                            html.Button("None", id="no-sensors", className="plain", type="button"),
                        ],
                        className="actions",
                    ),
                    dcc.Checklist(sensors, sensors, id="sensors", className="ticks"),
                ],
                className="sensors",
            ),
            html.Button("Pause", id="pause", className="button second", type="button", **aria(pressed="false")),
            *stores,
        ],
        className="card controls",
        **aria(label="Controls"),
    )


def _labelled(label: str, control: Component) -> Component:
    element: Any = control
    return html.Div([html.Label(label, htmlFor=element.id), control], className="labelled")


def _tile(name: str, title: str, note: str) -> Component:
    return html.Div(
        [
            html.P(title, className="over"),
            html.P("–", className="figure", id=f"figure-{name}"),
            html.P(note, className="quiet small", id=f"note-{name}"),
        ],
        className="card tile",
    )


def _signals() -> Component:
    heads = ("Signal", "Statistics by window", "Ranges", "Bands")
    return html.Section(
        [
            html.Div(
                [
                    html.H2("Sensors"),
                    html.Ul(
                        [
                            html.Li([html.I(className=f"key {name}"), text])
                            for name, text in (
                                ("band", "lowest to highest"),
                                ("mean", "mean"),
                                ("anomaly", "anomaly"),
                                ("outside", "outside the declared ranges"),
                            )
                        ],
                        className="legend",
                    ),
                ],
                className="heading",
            ),
            html.Div(
                [
                    html.Div([html.Span(id="class-now", className="quiet")], className="rail", id="class-rail"),
                    _canvas("classes", "Class over time"),
                    html.Div(className="rail head"),
                    *(html.P(text, className=f"over head head-{text.split()[0].lower()}") for text in heads),
                    html.Div(id="names", className="rail names", role="group", **aria(label="Sensor in focus")),
                    _canvas("signal", "Signal of each sensor"),
                    _canvas("statistics", "Statistics of each sensor by window"),
                    _canvas("ranges", "Histogram of each sensor by declared ranges"),
                    _canvas("bands", "Band power of each sensor"),
                    html.Div(className="rail foot"),
                    _canvas("axis", "Time of the readings, UTC"),
                ],
                className="montage",
                id="montage",
            ),
            html.P("Waiting for the first update.", className="note", id="empty"),
        ],
        className="card signals",
    )


def _canvas(name: str, label: str) -> Component:
    # React must not re-render the browser's drawing, so nothing in here changes after the first time.
    return html.Div(
        html.Canvas(id=f"canvas-{name}", role="img", **aria(label=label)), className=f"sheet sheet-{name}", id=f"sheet-{name}"
    )


def _focus() -> Component:
    return html.Section(
        [
            html.Div(
                [html.H2("Sensor", id="focus-name"), html.Span(id="focus-window", className="quiet small")], className="heading"
            ),
            html.Dl(id="focus-figures", className="figures"),
            html.H3("Readings by declared range, last window"),
            _canvas("histogram", "Histogram of the sensor in focus"),
            html.H3("Band power, share of each window's", id="focus-bands"),
            _canvas("powers", "Band power of the sensor in focus, over time"),
        ],
        className="card focus",
    )


def _classes() -> Component:
    return html.Section(
        [
            html.H2("Class"),
            html.P("No classification in this stream yet.", className="quiet", id="class-none"),
            html.Div(
                [
                    html.P("–", className="figure", id="class-label"),
                    html.Meter(id="class-meter", min="0", max="1", value="0", **aria(label="Probability")),
                    html.P(id="class-model", className="quiet"),
                    html.P(id="class-truth", className="quiet small"),
                ],
                id="class-some",
                hidden=True,
            ),
        ],
        className="card",
    )


def _anomalies() -> Component:
    head = [
        html.Th(text, scope="col", className="num" if text == "Score" else "") for text in ("Time", "Sensor", "Score", "Detector")
    ]
    return html.Section(
        [
            html.Div([html.H2("Anomalies"), html.Span(id="anomaly-count", className="quiet small")], className="heading"),
            html.Table([html.Thead(html.Tr(head)), html.Tbody(id="anomaly-rows")], className="small"),
            html.P("None so far.", className="quiet", id="anomaly-none"),
        ],
        className="card",
    )


def _batch() -> Component:
    return html.Section(
        [
            html.H2("Where a batch's time goes"),
            html.Div(id="phases", className="phases"),
            html.P(id="phases-note", className="quiet small"),
        ],
        className="card",
    )


ORDER = 20
PAGE = Page("live", PATH, layout, offer)
