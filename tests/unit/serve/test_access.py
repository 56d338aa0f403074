"""Who may come in."""

from __future__ import annotations

from typing import Any

import pytest

from caudal.errors import DeclarationProblem
from caudal.serve.access import demand_key, is_loopback

KEY = "kéy of the house"
PREDICT = "/api/v1/taxi/duration/predict"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "127.0.0.1.example.org"])
def test_an_address_that_others_reach_demands_a_key(host: str) -> None:
    with pytest.raises(DeclarationProblem, match="CAUDAL_KEY"):
        demand_key(host, None)
    with pytest.raises(DeclarationProblem):
        demand_key(host, "")
    demand_key(host, "a key")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_this_machine_alone_needs_none(host: str) -> None:
    assert is_loopback(host)
    demand_key(host, None)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "wrong"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic a"},
        {"X-API-Key": ""},
        {"Authorization": "Bearer"},
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/models", "/openapi.json", "/metrics", "/api/v1/nothing"])
def test_without_the_key_there_is_nothing(served: Any, path: str, headers: dict[str, str]) -> None:
    answer = served.app(key=KEY).test_client().get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "taxi" not in answer.text


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_with_the_key_there_is_all(served: Any, header: str, example: dict[str, Any]) -> None:
    sent = KEY.encode().decode("latin-1")
    given = {header: f"Bearer {sent}" if header == "Authorization" else sent}
    client = served.app(key=KEY).test_client()
    assert client.post(PREDICT, json=example, headers=given).status_code == 200
    assert client.post(PREDICT, json=example).status_code == 401
    wrong_too = {"Authorization": "Bearer wrong", "X-API-Key": sent}
    assert client.post(PREDICT, json=example, headers=wrong_too).status_code == 401


def test_probes_need_no_key(served: Any) -> None:
    client = served.app(key=KEY).test_client()
    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 200


def test_people_sign_in_and_out(served: Any) -> None:
    client = served.app(key=KEY).test_client()
    html = {"Accept": "text/html"}
    asked = client.get("/taxi/duration/", headers=html)
    assert asked.location == "/login?next=/taxi/duration/"
    assert client.get(asked.location).status_code == 200
    assert client.post("/login", data={"key": "wrong"}).status_code == 401
    entered = client.post("/login", data={"key": KEY, "next": "/taxi/duration/"})
    assert entered.location == "/taxi/duration/"
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert KEY not in cookie
    assert client.get("/taxi/duration/", headers=html).status_code == 200
    client.post("/logout")
    assert client.get("/taxi/duration/", headers=html).status_code == 302


def test_a_cookie_of_another_key_is_worth_nothing(served: Any) -> None:
    old, new = served.app(key="old").test_client(), served.app(key="new").test_client()
    old.post("/login", data={"key": "old"})
    cookie = old.get_cookie("caudal")
    assert cookie
    new.set_cookie("caudal", cookie.value)
    assert new.get("/", headers={"Accept": "text/html"}).status_code == 302


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\nx"])
def test_signing_in_leads_nowhere_else(served: Any, onward: str) -> None:
    entered = served.app(key=KEY).test_client().post("/login", data={"key": KEY, "next": onward})
    assert entered.location == "/"
