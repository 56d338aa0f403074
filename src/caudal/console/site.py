"""What every page of the console is given, and what a page is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dash import Dash
from dash.development.base_component import Component
from flask import Flask

from caudal.ledger.ledger import Ledger
from caudal.tables.home import Home


class Ledgers:
    """A home's ledger, opened when there is one."""

    def __init__(self, home: Path, url: str | None) -> None:
        self.home = Home(home.absolute(), url)
        self._url = url
        self._opened: Ledger | None = None

    def get(self) -> Ledger | None:
        """Return it; None while nothing has run: looking makes no ledger."""
        if self._opened is None and (self._url or (self.home.path / "ledger.db").is_file()):
            self._opened = self.home.ledger()
        return self._opened


@dataclass(frozen=True)
class Site:
    """What the console shows.

    Parameters
    ----------
    home : Path, the folder with the live feeds
    server : Flask, for routes of a page's own
    """

    home: Path
    ledgers: Ledgers
    server: Flask


@dataclass(frozen=True)
class Page:
    """A page of the console: a file of ``pages/`` with its ``PAGE``.

    Parameters
    ----------
    path : str, where it is; the pages of its kind are below, where the last character is a slash
    layout : gives what a path shows; None where the path is another page's
    offer : gives the app the page's callbacks and routes, once
    title : str, optional, its name in the header; a page without one is reached from others
    """

    name: str
    path: str
    layout: Callable[[Site, str], Component | None]
    offer: Callable[[Dash, Site], None]
    title: str | None = None
