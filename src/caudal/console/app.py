"""The console's app: Flask with the web app's key and refusals, Dash on top, and a route of events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import BadRequest, HTTPException, NotFound

from caudal.console.events import VIEWERS, offer_events
from caudal.console.parts import notice
from caudal.console.site import Ledgers, Site
from caudal.kinds import PAGES
from caudal.web.access import guard
from caudal.web.bodies import BodyReader
from caudal.web.browsers import POLICY
from caudal.web.keys import KeyRing
from caudal.web.look import STATIC, share_templates
from caudal.web.refusals import HINTS, register_error_handlers


class _Console(Dash):
    """A Dash app in the layout of all caudal pages, with their header, language and skip link."""

    def interpolate_index(self, *_: object, **parts: object) -> str:
        return render_template("console.html", **parts)


def create_console(
    home: Path, *, ledger: str | None = None, key: str | None = None, viewers: int = VIEWERS, tls: bool = False
) -> Flask:
    """Return the web app that shows a home's streams and runs.

    Parameters
    ----------
    home : Path, the folder with the live feeds
    ledger : str, optional, the ledger's database URL; SQLite in the home when left out
    key : str, optional, a key that visitors may give, besides those of the ledger
    tls : whether the server encrypts
    viewers : most pages that follow a stream at a time
    """
    app = Flask("caudal.console", static_folder=STATIC)
    app.json = BodyReader(app)
    share_templates(app)
    server: Any = app  # Dash's types do not allow a given server
    app.jinja_env.globals.update(pages=[(page.path, page.title) for page in PAGES.values() if page.title], below=())
    ledgers = Ledgers(home, ledger)
    ring = app.extensions["keys"] = KeyRing(key, ledgers.keys)
    guard(app, ring, otherwise="observe", tls=tls, record=ledgers.record_event)
    register_error_handlers(app, {**HINTS, 404: "See the list of streams at /."}, translate_request_error)
    offer_events(app, home, viewers)
    dash = _Console(
        __name__,
        server=server,
        assets_folder=str(Path(__file__).parent / "assets"),
        title="caudal",
        update_title=None,  # type: ignore[arg-type]  # keep the tab's name during callbacks
        suppress_callback_exceptions=True,  # a page's controls exist only while it is shown
    )
    dash.layout = html.Div([dcc.Location(id="address"), html.Div(id="page")])
    site = Site(home, ledgers, app)
    for page in PAGES.values():
        page.offer(dash, site)

    @dash.callback(Output("page", "children"), Input("address", "pathname"))
    def show_page(path: str) -> Component:
        contents = (content for page in PAGES.values() if (content := page.layout(site, path)) is not None)
        return next(contents, None) or notice("Nothing here", f"There is no page {path}.")

    _set_policy(app, dash)
    return app


def translate_request_error(error: Exception) -> HTTPException | None:
    """Return the refusal of a request that Dash cannot read, where Dash raises its own exception and Flask would answer 500."""
    if request.path.startswith("/_dash-component-suites/"):
        return NotFound()
    if request.path == "/_dash-update-component" and isinstance(error, LookupError | TypeError | ValueError | AttributeError):
        return BadRequest("The body is not what the console's pages send.")
    return None


def _set_policy(app: Flask, dash: Dash) -> None:
    """Set a content security policy that allows scripts of this server, and Dash's inline script by its hash."""
    scripts = " ".join(["'self'", *dash.csp_hashes()])
    policy = POLICY.replace("script-src 'self'", f"script-src {scripts}")
    # Dash adds the style of its controls as elements; on a page that loads nothing from elsewhere, a style cannot leak data.
    policy = policy.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

    @app.after_request
    def bind(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        if response.mimetype in ("text/css", "text/javascript", "application/javascript"):
            response.headers.setdefault("Cache-Control", "private, max-age=0, must-revalidate")
        return response
