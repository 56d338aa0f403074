"""Access: the key, the session cookie, and the headers that restrict browsers."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Response, redirect, render_template, request, session, url_for
from werkzeug.exceptions import BadRequest, Forbidden, TooManyRequests, Unauthorized
from werkzeug.wrappers import Response as AnyResponse

from caudal.errors import DeclarationProblem
from caudal.web.shared_state import SharedState
from caudal.web.visitors import Sessions, SharedSessions, WrongKeys

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SHORTEST_KEY = 12  # characters
SESSION_S = 12 * 3600

# A probe has no key, and the login page needs its style.
OPEN = {"health", "ready", "static", "login"}

_ADMITTED = "caudal.admitted"
_LOCAL_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.ASCII)

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
}


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


def demand_key(host: str, key: str | None) -> None:
    """Refuse an address that others can reach without a key, and a key that can be guessed."""
    check_key_length(key)
    if not is_loopback(host) and not key:
        raise DeclarationProblem(
            f"Serving on '{host}' would let anyone on the network in, and no key is set.",
            fix=f"Set one, for instance CAUDAL_KEY={secrets.token_urlsafe(24)}, or serve on 127.0.0.1.",
            host=host,
        )


def check_key_length(key: str | None) -> None:
    """Refuse a key that is too short to be safe.

    Raises
    ------
    DeclarationProblem : the key has fewer than ``SHORTEST_KEY`` characters
    """
    if key and len(key) < SHORTEST_KEY:
        raise DeclarationProblem(
            f"The key has {len(key)} character{'s' if len(key) > 1 else ''}; it needs {SHORTEST_KEY} at least.",
            fix=f"Take one that cannot be guessed, for instance CAUDAL_KEY={secrets.token_urlsafe(24)}.",
        )


def is_admitted() -> bool:
    """Return whether this request has full access: it has the key, its visitor has signed in, or there is no key."""
    return request.environ.get(_ADMITTED) is True


@dataclass(frozen=True)
class Access:
    """Who has access: the key, those who have signed in, and those who have to wait."""

    key: str | None
    sessions: Sessions | SharedSessions
    wrong_keys: WrongKeys

    def admits_program(self, environ: WSGIEnvironment) -> bool:
        """Return whether a program's request is admitted without question; False where the app has to look at it, which may admit it still.

        That is one with the right key from an address that does not have to wait, or without a key one to a plain local host; and no cookie in either case.
        """
        if "HTTP_COOKIE" in environ:
            return False
        if not self.key:
            return _LOCAL_HOST.fullmatch(environ.get("HTTP_HOST", "")) is not None
        sent = sent_key(environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY"))
        if sent is None or not _keys_equal(sent, self.key):
            return False
        caller = caller_of(environ.get("REMOTE_ADDR"))
        if self.wrong_keys.wait_s(caller) > 0:
            return False
        self.wrong_keys.forget(caller)
        return True


def guard(app: Flask, key: str | None, shared: SharedState | None = None) -> Access:
    """Make an app require the key, and protect browsers from being used against it.

    A visitor who signs in gets a cookie that is valid for twelve hours, until logout, or until the server ends: sessions live in this process, or in what server processes share.
    An address that repeatedly sends wrong keys has to wait, longer each time; each server process counts for itself.

    Raises
    ------
    DeclarationProblem : the key is too short
    """
    check_key_length(key)
    app.secret_key = shared.secret if shared else secrets.token_bytes(32)
    app.config.update(SESSION_COOKIE_NAME="caudal", SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Strict")
    access = Access(key, SharedSessions(SESSION_S, shared.sessions) if shared else Sessions(SESSION_S), WrongKeys())
    sessions, wrong_keys = access.sessions, access.wrong_keys

    @app.before_request
    def enter() -> AnyResponse | None:
        if not key:
            _refuse_foreign_host()
        if request.method == "POST" and not request.path.startswith("/api/"):
            _refuse_foreign_form()
        try:
            request.environ[_ADMITTED] = not key or _has_access(key, sessions, wrong_keys)
        except TooManyRequests:
            if request.endpoint not in OPEN:
                raise
        if request.environ.get(_ADMITTED) or request.endpoint in OPEN:
            return None
        if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
            raise Unauthorized("The key is missing or wrong: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.")
        return redirect(url_for("login", next=request.full_path.rstrip("?")))

    @app.after_request
    def bind(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static":
            response.headers.setdefault("Cache-Control", "no-store")
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="caudal"'
        return response

    @app.route("/login", methods=["GET", "POST"])
    def login() -> AnyResponse | str | tuple[str, int]:
        if not key:
            return redirect("/")
        next_path = _local_path(request.values.get("next", "/"))
        if request.method == "GET":
            return render_template("login.html", next=next_path, wrong=False)
        wrong_keys.hold_back(_caller())
        if not _keys_equal(request.form.get("key", ""), key):
            wrong_keys.count(_caller())
            return render_template("login.html", next=next_path, wrong=True), 401
        wrong_keys.forget(_caller())
        session["id"] = sessions.begin()
        return redirect(next_path, code=303)

    @app.route("/logout", methods=["POST"])
    def logout() -> AnyResponse:
        sessions.end(session.pop("id", None))
        return redirect("/", code=303)

    return access


def _has_access(key: str, sessions: Sessions | SharedSessions, wrong_keys: WrongKeys) -> bool:
    if sessions.holds(session.get("id")):
        return True
    sent = sent_key(request.headers.get("Authorization"), request.headers.get("X-API-Key"))
    if sent is None:
        return False
    wrong_keys.hold_back(_caller())
    if _keys_equal(sent, key):
        wrong_keys.forget(_caller())
        return True
    wrong_keys.count(_caller())
    return False


def sent_key(authorization: str | None, api_key: str | None) -> str | None:
    """Return the key in two headers, None if there is none; a right ``X-API-Key`` does not correct a wrong ``Authorization``."""
    if authorization is None:
        return None if api_key is None else _utf8(api_key)
    scheme, _, token = authorization.partition(" ")
    return _utf8(token.strip()) if scheme.lower() == "bearer" else ""


def _caller() -> str:
    return caller_of(request.remote_addr)


@lru_cache(maxsize=1024)
def caller_of(address: str | None) -> str:
    """Return a caller's address; for IPv6 the network of one customer, who has 2⁶⁴ addresses."""
    address = address or ""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def _utf8(header: str) -> str:
    # WSGI hands over a header's bytes as Latin-1.
    return header.encode("latin-1", "replace").decode("utf-8", "replace")


def _keys_equal(sent_key: str, key: str) -> bool:
    return hmac.compare_digest(sent_key.encode("utf-8", "surrogatepass"), key.encode())


def _refuse_foreign_host() -> None:
    """Refuse a foreign page that points its own host name at this machine to read answers through a visitor's browser."""
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        raise BadRequest("Without a key the server accepts only requests to host names of its own machine.")


def _refuse_foreign_form() -> None:
    """Refuse a form that another site's page sends. Programs send neither header and are admitted."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # The browser's own header goes first: behind a proxy the origin's host may differ from the requested one.
    from_here = origin is None or urlsplit(origin).netloc == request.host
    if not (from_here if site is None else site in ("same-origin", "none")):
        raise Forbidden("The form was sent from another site's page.")


def _local_path(path: str) -> str:
    """Return a path of this site; ``/`` for a path that leads elsewhere."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"
