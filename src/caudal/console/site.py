"""The parts of the console's site: its ledger, its pages, and what a page gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dash import Dash
from dash.development.base_component import Component
from flask import Flask

from caudal.ledger.access import keys, record_event
from caudal.ledger.ledger import Ledger
from caudal.ledger.rows import AccessEvent, AccessKeyRow
from caudal.tables.home import Home


class Ledgers:
    """Opens a home's ledger on first use, once the ledger exists."""

    def __init__(self, home: Path, url: str | None) -> None:
        self.home = Home(home.absolute(), url)
        self._url = url
        self._opened: Ledger | None = None

    def get(self) -> Ledger | None:
        """Return the ledger; None while nothing has run: a visit creates no ledger."""
        if self._opened is None and (self._url or (self.home.path / "ledger.db").is_file()):
            self._opened = self.home.ledger()
        return self._opened

    def keys(self) -> list[AccessKeyRow]:
        """Return the keys of the ledger."""
        ledger = self.get()
        return [] if ledger is None else keys(ledger)

    def record_event(self, event: AccessEvent, key_name: str | None, address: str) -> None:
        """Keep what a visitor did, where there is a ledger."""
        ledger = self.get()
        if ledger is not None:
            record_event(ledger, "console", event, key_name, address)


@dataclass(frozen=True)
class Site:
    """The home that the console shows, and its web server.

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
    path : str, its address; a path that ends with a slash also covers the addresses below it
    layout : returns the content for a path; None where the path belongs to another page
    offer : adds the page's callbacks and routes to the app; called once
    title : str, optional, its name in the header; a page without a title has links on other pages only
    """

    name: str
    path: str
    layout: Callable[[Site, str], Component | None]
    offer: Callable[[Dash, Site], None]
    title: str | None = None
