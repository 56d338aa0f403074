"""Who may come in."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sign_in import sign_in, sign_out
from werkzeug.exceptions import BadRequest

from caudal.errors import DeclarationProblem
from caudal.serve.uploads import image_of_request
from caudal.web.access import demand_key
from caudal.web.browsers import is_loopback
from caudal.web.keys import KeyRing
from caudal.web.visitors import Sessions, WrongKeys

KEY = "kéy of the house"
PREDICT = "/api/v1/taxi/duration/predict"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "127.0.0.1.example.org"])
def test_an_address_that_others_reach_demands_a_key(host: str) -> None:
    with pytest.raises(DeclarationProblem, match="CAUDAL_KEY"):
        demand_key(host, KeyRing())
    with pytest.raises(DeclarationProblem):
        demand_key(host, KeyRing(""))
    demand_key(host, KeyRing("a key of twelve and more"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_this_machine_alone_needs_none(host: str) -> None:
    assert is_loopback(host)
    demand_key(host, KeyRing())


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
    assert sign_in(client, "wrong").status_code == 401
    entered = sign_in(client, KEY, "/taxi/duration/")
    assert entered.location == "/taxi/duration/"
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert KEY not in cookie
    assert client.get("/taxi/duration/", headers=html).status_code == 200
    sign_out(client)
    assert client.get("/taxi/duration/", headers=html).status_code == 302


def test_a_cookie_of_another_key_is_worth_nothing(served: Any) -> None:
    old, new = served.app(key="the old key!").test_client(), served.app(key="the new key!").test_client()
    sign_in(old, "the old key!")
    cookie = old.get_cookie("caudal")
    assert cookie
    new.set_cookie("caudal", cookie.value)
    assert new.get("/", headers={"Accept": "text/html"}).status_code == 302


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\nx"])
def test_signing_in_leads_nowhere_else(served: Any, onward: str) -> None:
    entered = sign_in(served.app(key=KEY).test_client(), KEY, onward)
    assert entered.location == "/"


@pytest.mark.parametrize("key", ["a", "short", "eleven char"])
def test_a_key_that_can_be_guessed_is_refused(served: Any, key: str) -> None:
    for host in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(DeclarationProblem, match="it needs 12 at least"):
            demand_key(host, KeyRing(key))
    with pytest.raises(DeclarationProblem, match="it needs 12 at least"):
        served.app(key=key)


def test_a_cookie_is_worth_nothing_after_its_logout_or_in_another_server(served: Any) -> None:
    client, thief, other = served.app(key=KEY).test_client(), None, served.app(key=KEY).test_client()
    sign_in(client, KEY)
    cookie = client.get_cookie("caudal")
    assert cookie
    thief = client.application.test_client()
    for taken in (thief, other):
        taken.set_cookie("caudal", cookie.value)
    html = {"Accept": "text/html"}
    assert thief.get("/", headers=html).status_code == 200
    assert other.get("/", headers=html).status_code == 302
    sign_out(client)
    assert thief.get("/", headers=html).status_code == 302


def test_a_session_ends_after_its_time_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    sessions = Sessions(100.0, clock=lambda: now[0])
    session = sessions.begin(1)
    now[0] = 99.0
    assert sessions.key_of(session) == 1
    now[0] = 100.0
    assert sessions.key_of(session) is None
    monkeypatch.setattr("caudal.web.visitors.MOST_SESSIONS", 2)
    first, *others = (sessions.begin(1) for _ in range(3))
    assert sessions.key_of(first) is None
    assert all(sessions.key_of(other) for other in others)


def test_wrong_keys_have_to_wait_and_nobody_else_does(served: Any) -> None:
    client = served.app(key=KEY).test_client()
    right, wrong = {"X-API-Key": KEY.encode().decode("latin-1")}, {"X-API-Key": "wrong"}
    here, there = {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.2"}
    asked = [client.get("/api/v1/models", headers=wrong, environ_base=here) for _ in range(7)]
    assert [answer.status_code for answer in asked] == [401] * 6 + [429]
    assert int(asked[-1].headers["Retry-After"]) >= 1
    assert client.get("/api/v1/models", headers=right, environ_base=here).status_code == 429
    assert sign_in(client, KEY, environ_base=here).status_code == 429
    assert client.get("/health", headers=wrong, environ_base=here).status_code == 200
    assert client.get("/api/v1/models", environ_base=here).status_code == 401  # without a key nothing is guessed
    assert client.get("/api/v1/models", headers=right, environ_base=there).status_code == 200


def test_wrong_keys_at_the_login_have_to_wait_too(served: Any) -> None:
    client = served.app(key=KEY).test_client()
    asked = [sign_in(client, "wrong", environ_base={"REMOTE_ADDR": "192.0.2.1"}) for _ in range(7)]
    assert [answer.status_code for answer in asked] == [401] * 6 + [429]
    assert sign_in(client, KEY, environ_base={"REMOTE_ADDR": "192.0.2.2"}).status_code == 303


def test_the_wait_doubles_up_to_a_minute_and_ends_with_a_right_key() -> None:
    now = [0.0]
    wrong_keys = WrongKeys(clock=lambda: now[0])
    waits = []
    for _ in range(14):
        wrong_keys.count("192.0.2.1")
        waits.append(wrong_keys.wait_s("192.0.2.1"))
        now[0] += waits[-1]
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    wrong_keys.forget("192.0.2.1")
    wrong_keys.count("192.0.2.1")
    assert wrong_keys.wait_s("192.0.2.1") == 0


def test_without_the_key_a_probe_learns_whether_and_no_more(served: Any) -> None:
    app = served.app(key=KEY)
    told = app.test_client().get("/ready").json
    assert told == {"ready": True, "reason": None, "models": []}
    whole = app.test_client().get("/ready", headers={"X-API-Key": KEY.encode().decode("latin-1")}).json
    assert {state["model"] for state in whole["models"]} >= {"duration"}
    assert served.app().test_client().get("/ready").json["models"]


def test_who_has_signed_in_can_sign_out(served):
    client = served.app(key=KEY).test_client()
    sign_in(client, KEY)
    page = client.get("/").text
    assert '<form method="post" action="/logout">' in page
    sign_out(client)
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 302


@pytest.mark.parametrize("path", ["/api/v1/taxi/duration/predict", "/api/v1/taxi/duration/predict/batch"])
@pytest.mark.parametrize("body", ["[" * 50_000, '{"image":' * 50_000, '{"image": "\\ud800"}'])
def test_a_body_of_any_depth_is_refused_and_no_fault(served, path, body):
    answer = served.app().test_client().post(path, data=body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize("body", ["[" * 50_000, '{"image":' * 50_000, '{"image": "\\ud800"}', "[]", '{"image": 1}'])
def test_an_image_in_json_of_any_depth_is_refused_and_no_fault(served, body):
    with (
        served.app().test_request_context("/", method="POST", data=body, content_type="application/json"),
        pytest.raises(BadRequest),
    ):
        image_of_request()
