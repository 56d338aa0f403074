"""Components that pages share."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component


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
