"""Components that pages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from caudal.report.terminal.times import strokes


def aria(**texts: str) -> dict[str, Any]:
    """Return attributes that describe an element to screen readers.

    Examples
    --------
    >>> aria(label="Controls")
    {'aria-label': 'Controls'}
    """
    return {f"aria-{name}": text for name, text in texts.items()}


def notice(title: str, text: str) -> Component:
    """Return a page with an explanation in place of content."""
    return html.Section([html.H1(title), html.P(text), html.A("All streams", href="/")], className="card")


def empty(title: str, code: str, text: str) -> Component:
    """Return a card in place of content that a declaration would bring."""
    return html.Section([html.H2(title), html.P([html.Code(code), text])], className="card")


def wide_table(columns: Sequence[str], rows: Sequence[Component]) -> Component:
    """Return a table that scrolls sideways where the window is narrow."""
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in columns]))
    return html.Div(html.Table([head, html.Tbody(list(rows))]), className="scroll")


def bars(values: Sequence[float], label: str) -> Component:
    """Return values as bar characters; ``label`` says what they are to a screen reader."""
    drawn = strokes([max(value, 0.0) for value in values])
    return html.Span(str(drawn), className="strokes", title=label, role="img", **aria(label=label))
