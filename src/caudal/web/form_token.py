"""Tokens of forms: a form that another site's page sends with a visitor's cookie lacks the token of the visitor's session."""

from __future__ import annotations

import hmac
import secrets

from flask import request, session
from werkzeug.exceptions import Forbidden

FIELD = "form_token"


def form_token() -> str:
    """Return the token of the visitor's session, for a hidden field of each form of a page."""
    if FIELD not in session:
        session[FIELD] = secrets.token_urlsafe(24)
    return str(session[FIELD])


def demand_form_token() -> None:
    """Refuse a form that lacks the token of the visitor's session.

    Raises
    ------
    Forbidden : the form was not on a page of this session
    """
    expected, sent = session.get(FIELD), request.form.get(FIELD, "")
    if not isinstance(expected, str) or not hmac.compare_digest(expected.encode(), sent.encode("utf-8", "surrogatepass")):
        raise Forbidden("The form is not of a page of this session: load the page again, and send it from there.")
