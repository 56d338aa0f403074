"""Access: who may do what, by a key or a session, and how often."""

from __future__ import annotations

import ipaddress
import math
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from flask import Flask, Response, redirect, render_template, request, session, url_for
from werkzeug.exceptions import Forbidden, RequestEntityTooLarge, TooManyRequests, Unauthorized
from werkzeug.wrappers import Response as AnyResponse

from caudal.errors import DeclarationProblem
from caudal.ledger.rows import AccessEvent, KeyRole
from caudal.web.browsers import HEADERS, TLS_HEADERS, is_loopback, local_path, refuse_foreign_form, refuse_foreign_host
from caudal.web.form_token import demand_form_token, form_token
from caudal.web.keys import NO_KEY, AccessKey, KeyRing
from caudal.web.shared_state import SharedState
from caudal.web.shared_wrong_keys import SharedWrongKeys
from caudal.web.visitors import Sessions, SharedSessions, WrongKeys

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SESSION_S = 12 * 3600

# A probe has no key, and the login page needs its style.
OPEN = {"health", "ready", "static", "login"}

KEY = "caudal.key"
"""The place of the caller's key in a request's environment; none is there where the caller has no access."""
CALLER_KEY = "caudal.caller"
"""The place of that key's name."""
_LOCAL_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.ASCII)


def demand_key(host: str, keys: KeyRing) -> None:
    """Refuse an address that others can reach where no key is required.

    Raises
    ------
    DeclarationProblem : neither the settings nor the ledger have a key
    """
    if not is_loopback(host) and not keys.required:
        raise DeclarationProblem(
            f"Serving on '{host}' would let anyone on the network in, and no key is set.",
            fix=f"Add one with 'caudal key add NAME', set CAUDAL_KEY={secrets.token_urlsafe(24)}, or serve on 127.0.0.1.",
            host=host,
        )


def is_admitted() -> bool:
    """Return whether this request has access: it has a valid key, its visitor has signed in, or no key is required."""
    return request.environ.get(KEY) is not None


def caller_name() -> str | None:
    """Return the name of the key that this request has; None where it has none."""
    name: str | None = request.environ.get(CALLER_KEY)
    return name


def key_holds(app: Flask) -> Callable[[], bool]:
    """Return what says whether this request's key is still valid, for answers that last: a revoked key ends them too."""
    ring: KeyRing = app.extensions["keys"]
    key: AccessKey | None = request.environ.get(KEY)

    def holds() -> bool:
        ring.refresh()
        return key is not None and (not ring.required if key is NO_KEY else ring.numbered(key.number) is not None)

    return holds


def rows_refused(app: Flask) -> Callable[[int], tuple[int, str, str] | None]:
    """Return what counts rows of this request as they come, and says with status, kind and sentence why no more are answered; the request has counted for one."""
    holds = key_holds(app)
    key: AccessKey | None = request.environ.get(KEY)
    uncounted = -1

    def refused(number: int) -> tuple[int, str, str] | None:
        nonlocal uncounted
        number, uncounted = number + uncounted, 0
        if not holds():
            return 401, "Unauthorized", "The key has ended."
        if key is not None and key.limit is not None and number > 0 and not key.limit.take(number):
            return 429, "TooManyRequests", f"The key '{key.name}' may send {key.limit.text()}."
        return None

    return refused


def rows_at_once(most: int) -> int:
    """Return how many rows of this request are counted at a time: a tenth of what its key may send in a period, so that a chunk can be below the limit."""
    key: AccessKey | None = request.environ.get(KEY)
    return most if key is None or key.limit is None else max(1, min(most, key.limit.count // 10))


def count_rows(number: int) -> None:
    """Count further rows of a request that has several, against the limit of its key; the request has counted for one.

    Raises
    ------
    TooManyRequests : the limit is reached; ``Retry-After`` says for how long
    RequestEntityTooLarge : the request has more rows than the key may ever send in one
    """
    key: AccessKey | None = request.environ.get(KEY)
    if key is None or key.limit is None or number <= 0:
        return
    if number >= key.limit.count:
        raise RequestEntityTooLarge(f"The key '{key.name}' may send {key.limit.text()}, and the request has {number + 1} rows.")
    _count(key, number)


@dataclass(frozen=True)
class Access:
    """Who has access: the keys, those who have signed in, and those who have to wait."""

    keys: KeyRing
    sessions: Sessions | SharedSessions
    wrong_keys: WrongKeys
    headers: Mapping[str, str]  # of every answer

    def key_of_program(self, environ: WSGIEnvironment, role: KeyRole) -> AccessKey | None:
        """Return the key of a program's request that is admitted without question; None where the app has to look at it, which may admit it still.

        That is one with a valid key of a sufficient role from an address that does not have to wait, or where no key is required one to a plain
        local host; and no cookie in either case. The request is not counted against the key's limit.
        """
        if "HTTP_COOKIE" in environ:
            return None
        if not self.keys.required:
            return NO_KEY if _LOCAL_HOST.fullmatch(environ.get("HTTP_HOST", "")) is not None else None
        sent = sent_key(environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY"))
        key = None if sent is None else self.keys.find(sent)
        if key is None or not key.may(role):
            return None
        address = caller_of(environ.get("REMOTE_ADDR"))
        if self.wrong_keys.wait_s(address) > 0:
            return None
        self.wrong_keys.forget(address)
        return key


Record = Callable[[AccessEvent, str | None, str], None]


def guard(
    app: Flask,
    keys: KeyRing,
    shared: SharedState | None = None,
    *,
    roles: Mapping[str, KeyRole] | None = None,
    otherwise: KeyRole | None = None,
    tls: bool = False,
    record: Record | None = None,
) -> Access:
    """Make an app require a key, and protect browsers from being used against it.

    A visitor who signs in gets a cookie that is valid for twelve hours, until logout, until the key ends, or until the server ends: sessions live in
    this process, or in what server processes share. An address that repeatedly sends wrong keys has to wait, longer each time.

    Parameters
    ----------
    roles : the role that an endpoint needs, by its name
    otherwise : the role that other endpoints need; None: any key
    tls : whether the server encrypts
    record : callable ``(event, name of the key, address)``, keeps who signs in and out, and which address is held back
    """
    roles, record = roles or {}, record or (lambda *_: None)
    app.secret_key = shared.secret if shared else secrets.token_bytes(32)
    app.config.update(
        SESSION_COOKIE_NAME="caudal", SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_SECURE=tls
    )
    headers = {**HEADERS, **(TLS_HEADERS if tls else {})}
    wrong = SharedWrongKeys(shared.wrong_keys, shared.secret) if shared else WrongKeys()
    access = Access(keys, SharedSessions(SESSION_S, shared.sessions) if shared else Sessions(SESSION_S), wrong, headers)
    sessions, wrong_keys = access.sessions, access.wrong_keys
    app.jinja_env.globals.update(form_token=form_token)

    @app.context_processor
    def key_state() -> dict[str, object]:
        return {"has_key": keys.required}

    @app.before_request
    def enter() -> AnyResponse | None:
        keys.refresh()
        request.max_content_length = app.extensions.get("body limits", {}).get(request.endpoint, app.config["MAX_CONTENT_LENGTH"])
        if not keys.required:
            refuse_foreign_host()
        is_write = request.method not in ("GET", "HEAD", "OPTIONS")
        if is_write and not request.path.startswith("/api/"):
            refuse_foreign_form()
        key = NO_KEY if not keys.required else None
        by_cookie = False
        try:
            if key is None:
                key = keys.numbered(sessions.key_of(session.get("id")))
                by_cookie = key is not None
            if key is None:
                key = _sent_key(access, record)
        except TooManyRequests:
            if request.endpoint not in OPEN:
                raise
        if key is not None:
            request.environ[KEY], request.environ[CALLER_KEY] = key, key.name
        if request.endpoint in OPEN:
            return None
        if key is None:
            if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
                raise Unauthorized("The key is missing or wrong: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.")
            return redirect(url_for("login", next=request.full_path.rstrip("?")))
        if is_write and by_cookie:
            refuse_foreign_form()
            if request.mimetype != "application/json":  # which no other site's page can send unasked
                demand_form_token()
        if request.endpoint != "logout":
            _demand_role(key, roles.get(request.endpoint or "", otherwise))
            _count(key, 1)
        return None

    @app.after_request
    def bind(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static":
            response.headers.setdefault("Cache-Control", "no-store")
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="caudal"'
        return response

    @app.route("/login", methods=["GET", "POST"])
    def login() -> AnyResponse | str | tuple[str, int]:
        if not keys.required:
            return redirect("/")
        next_path = local_path(request.values.get("next", "/"))
        if request.method == "GET":
            return render_template("login.html", next=next_path, wrong=False)
        wrong_keys.hold_back(_address())
        demand_form_token()
        key = keys.look_up(request.form.get("key", ""))
        if key is None:
            _count_wrong(access, record)
            return render_template("login.html", next=next_path, wrong=True), 401
        wrong_keys.forget(_address())
        session.clear()  # what was before signing in is worth nothing afterwards
        session["id"] = sessions.begin(key.number)
        record("signed in", key.name, _address())
        return redirect(next_path, code=303)

    @app.route("/logout", methods=["POST"])
    def logout() -> AnyResponse:
        sessions.end(session.get("id"))
        session.clear()
        if is_admitted() and keys.required:
            record("signed out", caller_name(), _address())
        return redirect("/", code=303)

    return access


def _sent_key(access: Access, record: Record) -> AccessKey | None:
    """Return the valid key that the request's headers have."""
    sent = sent_key(request.headers.get("Authorization"), request.headers.get("X-API-Key"))
    if sent is None:
        return None
    access.wrong_keys.hold_back(_address())
    key = access.keys.look_up(sent)
    if key is None:
        _count_wrong(access, record)
    else:
        access.wrong_keys.forget(_address())
    return key


def _count_wrong(access: Access, record: Record) -> None:
    access.wrong_keys.count(_address())
    if access.wrong_keys.wait_s(_address()) > 0:
        record("held back", None, _address())


def _demand_role(key: AccessKey, role: KeyRole | None) -> None:
    if not key.may(role):
        raise Forbidden(f"The key '{key.name}' has the role '{key.role}', and this needs '{role}' or 'admin'.")


def _count(key: AccessKey, number: int) -> None:
    if key.limit is not None and not key.limit.take(number):
        raise TooManyRequests(
            f"The key '{key.name}' may send {key.limit.text()}.", retry_after=max(1, math.ceil(key.limit.wait_s(number)))
        )


def sent_key(authorization: str | None, api_key: str | None) -> str | None:
    """Return the key in two headers, None if there is none; a right ``X-API-Key`` does not correct a wrong ``Authorization``."""
    if authorization is None:
        return None if api_key is None else _utf8(api_key)
    scheme, _, token = authorization.partition(" ")
    return _utf8(token.strip()) if scheme.lower() == "bearer" else ""


def _address() -> str:
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
