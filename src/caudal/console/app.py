"""The console's app: Flask with the key and the refusals of the web app, Dash on it, and a route of events."""

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
from caudal.web.access import POLICY, guard
from caudal.web.look import STATIC, share_templates
from caudal.web.refusals import HINTS, refuse


class _Console(Dash):
    """Dash in the frame that all pages of caudal have, so that it has their header, language and skip link."""

    def interpolate_index(self, *_: Any, **parts: Any) -> str:
        return render_template("console.html", **parts)


def create_console(home: Path, *, ledger: str | None = None, key: str | None = None, viewers: int = VIEWERS) -> Flask:
    """Return the web app that shows the streams and the runs of a home.

    Parameters
    ----------
    home : Path, the folder with the live feeds
    ledger : str, optional, the ledger's database URL; SQLite in the home when left out
    key : str, optional, what visitors must show
    viewers : how many pages may follow a stream at a time
    """
    app = Flask("caudal.console", static_folder=STATIC)
    share_templates(app)
    server: Any = app  # Dash's types know of no server that is given
    app.jinja_env.globals.update(
        has_key=key is not None, pages=[(page.path, page.title) for page in PAGES.values() if page.title], below=()
    )
    guard(app, key)
    refuse(app, {**HINTS, 404: "See the list of streams at /."}, callers_fault)
    offer_events(app, home, viewers)
    dash = _Console(
        __name__,
        server=server,
        assets_folder=str(Path(__file__).parent / "assets"),
        title="caudal",
        update_title=None,  # type: ignore[arg-type]  # callbacks come and go; the tab's name stays
        suppress_callback_exceptions=True,  # a page's controls are there only while it is shown
    )
    dash.layout = html.Div([dcc.Location(id="address"), html.Div(id="page")])
    site = Site(home, Ledgers(home, ledger), app)
    for page in PAGES.values():
        page.offer(dash, site)

    @dash.callback(Output("page", "children"), Input("address", "pathname"))
    def shown(path: str) -> Component:
        contents = (content for page in PAGES.values() if (content := page.layout(site, path)) is not None)
        return next(contents, None) or notice("Nothing here", f"There is no page {path}.")

    _bind(app, dash)
    return app


def callers_fault(error: Exception) -> HTTPException | None:
    """Return the refusal of a request that Dash could not read: it raises what its own code comes upon, and Flask would say 500."""
    if request.path.startswith("/_dash-component-suites/"):
        return NotFound()
    if request.path == "/_dash-update-component" and isinstance(error, LookupError | TypeError | ValueError | AttributeError):
        return BadRequest("The body is not what the console's pages send.")
    return None


def _bind(app: Flask, dash: Dash) -> None:
    """Let the browser run what this server serves, and Dash's one line within the page, by its hash."""
    scripts = " ".join(["'self'", *dash.csp_hashes()])
    policy = POLICY.replace("script-src 'self'", f"script-src {scripts}")
    # Dash brings the style of its controls as elements; a style of a page that loads from nowhere else can tell no one anything.
    policy = policy.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

    @app.after_request
    def bind(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        if response.mimetype in ("text/css", "text/javascript", "application/javascript"):
            response.headers.setdefault("Cache-Control", "private, max-age=0, must-revalidate")
        return response
