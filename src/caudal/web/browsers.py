"""What keeps a visitor's browser from being used against a server: headers that restrict it, and refusals of what other sites' pages send."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import request
from werkzeug.exceptions import BadRequest, Forbidden

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: browsers would then send forms with 'Origin: null'
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Vary": "Cookie",
}
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refuse_foreign_host() -> None:
    """Refuse a foreign page that points its own host name at this machine to read answers through a visitor's browser.

    Raises
    ------
    BadRequest : the requested host is not of this machine
    """
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        raise BadRequest("Without a key the server accepts only requests to host names of its own machine.")


def refuse_foreign_form() -> None:
    """Refuse a form that another site's page sends. Programs send neither header and are admitted.

    Raises
    ------
    Forbidden : it comes from elsewhere
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # The browser's own header goes first: behind a proxy the origin's host may differ from the requested one.
    from_here = origin is None or urlsplit(origin).netloc == request.host
    if not (from_here if site is None else site in ("same-origin", "none")):
        raise Forbidden("The form was sent from another site's page.")


def local_path(path: str) -> str:
    """Return a path of this site; ``/`` for a path that leads elsewhere."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"
