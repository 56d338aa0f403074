"""A page of the console that says whose it is."""

from __future__ import annotations

from dash import Dash, html
from dash.development.base_component import Component

from caudal.console.site import Page, Site


def layout(site: Site, path: str) -> Component | None:
    """Return the page; None where the path is another's."""
    return html.P(f"The home is {site.home.name}.") if path == "/about" else None


def offer(app: Dash, site: Site) -> None:
    """There is nothing to be called back."""


PAGE = Page("about", "/about", layout, offer, "About")
