"""Sign in as a browser does: with the token that the page of the form has."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode
from urllib.request import OpenerDirector


def form_token_of(page: str) -> str:
    """Return the token of a page's forms."""
    found = re.search(r'name="form_token" value="([^"]+)"', page)
    assert found, "the page has no form with a token"
    return found[1]


def sign_in(client: Any, key: str, onward: str = "/", **options: Any) -> Any:
    """Sign in with Flask's test client, and return the answer."""
    token = form_token_of(client.get("/login").text)
    return client.post("/login", data={"key": key, "next": onward, "form_token": token}, **options)


def sign_out(client: Any) -> Any:
    """Sign out with the button of a page, and return the answer."""
    return client.post("/logout", data={"form_token": form_token_of(client.get("/").text)})


def sign_in_by_url(visitor: OpenerDirector, url: str, key: str) -> None:
    """Sign in at a server, with an opener that keeps cookies."""
    token = form_token_of(visitor.open(f"{url}/login").read().decode())
    visitor.open(f"{url}/login", urlencode({"key": key, "next": "/", "form_token": token}).encode()).read()
