"""Keys of the ledger: who has which access, how much of it, and until when."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tests.sign_in import form_token_of, sign_in
from werkzeug.test import Client

from caudal.commands.audit_log import audit_log
from caudal.commands.keys import add_access_key, list_access_keys, revoke_access_key
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, NotThere
from caudal.ledger.records import access_keys
from caudal.registry import start_trial
from caudal.tables.home import Home
from caudal.web.access import caller_name, rows_refused
from caudal.web.keys import KeyRing

PREDICT, BATCH = "/api/v1/taxi/duration/predict", "/api/v1/taxi/duration/predict/batch"
HTML = {"Accept": "text/html"}


@pytest.fixture
def home(served: Any) -> Settings:
    return Settings(home=served.home)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def new_key(
    home: Settings, name: str = "dispatch", role: Any = "predict", expires: str | None = None, rate: str | None = None
) -> str:
    return add_access_key(home, name, role, expires, rate)["key"]


def in_connection(app: Any, key: str, body: bytes) -> bytes | None:
    """Return what the lane answers in the server's event loop."""
    app.wsgi_app._access.keys.refresh()
    environ = {"CONTENT_TYPE": "application/json", "HTTP_AUTHORIZATION": f"Bearer {key}", "REMOTE_ADDR": "10.0.0.1"}
    lane = app.wsgi_app
    return lane._answer(lane._served(PREDICT), environ, body)  # type: ignore[no-any-return]


def test_a_key_of_the_ledger_opens_both_lanes_until_it_is_revoked(served: Any, home: Settings, example: dict[str, Any]) -> None:
    app = served.app()
    client = app.test_client()
    assert client.post(PREDICT, json=example).status_code == 200  # no key is required yet
    key = new_key(home)
    assert client.post(PREDICT, json=example).status_code == 401  # the first key closes a server that runs
    for ask in (client, Client(app.wsgi_app.app)):  # the second is the app without the lane in front
        assert ask.post(PREDICT, json=example, headers=bearer(key)).status_code == 200
        assert ask.post(PREDICT, json=example, headers={"X-API-Key": key}).status_code == 200
        assert ask.post(PREDICT, json=example, headers=bearer(key[:-1])).status_code == 401
    revoke_access_key(home, "dispatch", "it was in a screenshot")
    assert client.post(PREDICT, json=example, headers=bearer(key)).status_code == 401
    assert client.post(PREDICT, json=example).status_code == 401  # a server does not open because its last key is gone
    assert client.get("/login").status_code == 200


def test_the_key_of_the_settings_stands_beside_those_of_the_ledger(served: Any, home: Settings, example: dict[str, Any]) -> None:
    key = new_key(home)
    client = served.app(key="the key of settings").test_client()
    for sent in (key, "the key of settings"):
        assert client.post(PREDICT, json=example, headers=bearer(sent)).status_code == 200
    revoke_access_key(home, "dispatch", "")
    assert client.post(PREDICT, json=example, headers=bearer("the key of settings")).status_code == 200


def test_a_key_ends_at_its_time(served: Any, home: Settings, example: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key(home, expires="2 hours")
    app = served.app()
    client = app.test_client()
    sign_in(client, key)
    assert client.post(PREDICT, json=example, headers=bearer(key)).status_code == 200
    assert client.get("/", headers=HTML).status_code == 200
    later = time.time() + 7201
    app.extensions["keys"]._clock = lambda: later
    assert app.test_client().post(PREDICT, json=example, headers=bearer(key)).status_code == 401
    assert client.get("/", headers=HTML).status_code == 302  # who signed in with it is out too


@pytest.mark.parametrize(("role", "predicts", "measures"), [("predict", 200, 403), ("observe", 403, 200), ("admin", 200, 200)])
def test_a_role_opens_what_it_says(
    served: Any, home: Settings, example: dict[str, Any], role: str, predicts: int, measures: int
) -> None:
    key = new_key(home, role=role)
    client = served.app().test_client()
    assert client.post(PREDICT, json=example, headers=bearer(key)).status_code == predicts
    assert client.post(BATCH, json=[example], headers=bearer(key)).status_code == predicts
    assert client.get("/metrics", headers=bearer(key)).status_code == measures
    assert client.get("/api/v1/taxi/duration/card", headers=bearer(key)).status_code == 200
    assert client.get("/api/v1/models", headers=bearer(key)).status_code == 200
    refused = (
        client.post(PREDICT, json=example, headers=bearer(key)) if predicts == 403 else client.get("/metrics", headers=bearer(key))
    )
    if refused.status_code == 403:
        assert refused.json["what"].startswith(f"The key 'dispatch' has the role '{role}'")
    sign_in(client, key)
    page = client.get("/taxi/duration/", headers=HTML)
    assert page.status_code == 200
    asked = client.post("/taxi/duration/", data={**example, "form_token": form_token_of(page.text)}, headers=HTML)
    assert asked.status_code in ((403,) if predicts == 403 else (200, 422))


def test_a_rate_is_kept_by_both_lanes_and_batches_count_their_rows(served: Any, home: Settings, example: dict[str, Any]) -> None:
    key = new_key(home, rate="10/hour")
    app = served.app()
    client = app.test_client()
    too_many = client.post(BATCH, json=[example] * 11, headers=bearer(key))
    assert too_many.status_code == 413
    assert too_many.json["what"] == "The key 'dispatch' may send 10 rows within 1 hour, and the request has 11 rows."
    # That request has counted for one, as each does.
    assert client.post(BATCH, json=[example] * 4, headers=bearer(key)).status_code == 200
    assert Client(app.wsgi_app.app).post(PREDICT, json=example, headers=bearer(key)).status_code == 200
    answers = [client.post(PREDICT, json=example, headers=bearer(key)) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 7200
    assert answers[-1].json["what"] == "The key 'dispatch' may send 10 rows within 1 hour."
    other = new_key(home, "another")
    assert client.post(PREDICT, json=example, headers=bearer(other)).status_code == 200
    assert client.get("/health").status_code == 200


def test_a_form_of_another_page_is_refused(served: Any, home: Settings, example: dict[str, Any]) -> None:
    key = new_key(home)
    client = served.app().test_client()
    assert client.post("/login", data={"key": key}).status_code == 403
    sign_in(client, key)
    page = client.get("/taxi/duration/").text
    for token in ({}, {"form_token": "guessed"}, {"form_token": ""}):
        assert client.post("/taxi/duration/", data={**example, **token}).status_code == 403
        assert client.post("/logout", data=token).status_code == 403
    assert client.post("/taxi/duration/", data={**example, "form_token": form_token_of(page)}).status_code in (200, 422)
    other = served.app().test_client()
    sign_in(other, key)
    assert client.post("/logout", data={"form_token": form_token_of(other.get("/").text)}).status_code == 403
    # A program that sends its key has no cookie that another page could use.
    program = served.app().test_client()
    assert program.post("/taxi/duration/", data=example, headers=bearer(key)).status_code in (200, 422)
    # JSON by a cookie is what the page of the API sends; another site's page cannot.
    assert client.post(PREDICT, json=example).status_code == 200
    assert client.post(PREDICT, json=example, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post(PREDICT, data=b"{}", content_type="text/plain").status_code == 403


def test_revoking_a_key_ends_its_sessions(served: Any, home: Settings) -> None:
    client = served.app().test_client()
    sign_in(client, new_key(home))
    assert client.get("/", headers=HTML).status_code == 200
    revoke_access_key(home, "dispatch", "")
    assert client.get("/", headers=HTML).status_code == 302


def test_the_log_says_who_did_what(served: Any, home: Settings) -> None:
    key = new_key(home)
    client = served.app().test_client()
    sign_in(client, key, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    client.post("/logout", data={"form_token": form_token_of(client.get("/").text)}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    for _ in range(6):
        client.get("/api/v1/models", headers=bearer("wrong"), environ_base={"REMOTE_ADDR": "192.0.2.8"})
    revoke_access_key(home, "dispatch", "lost")
    log = audit_log(home, "1 hour")
    done = [
        (line["who"], line["what"].partition(" at ")[0], line["subject"], line["why"]) for line in log if line["what"] != "promoted"
    ]
    (adder, *_), (revoker, *_) = done[0], done[-1]
    assert adder == revoker
    assert done == [
        (adder, "added a key of the role predict", "dispatch", None),
        ("dispatch", "signed in", "192.0.2.7", None),
        ("dispatch", "signed out", "192.0.2.7", None),
        (None, "held back", "192.0.2.8", None),
        (adder, "revoked a key", "dispatch", "lost"),
    ]
    assert [line["what"] for line in audit_log(home)].count("promoted") == 2
    assert key not in str(log)


def test_the_key_itself_is_kept_nowhere(served: Any, home: Settings) -> None:
    key = new_key(home)
    assert len(key) == 50
    row = served.ledger.find(access_keys)[0]
    assert key not in str(row)
    assert key.startswith(row["start"])
    served.ledger.close()
    assert key.encode() not in b"".join(file.read_bytes() for file in served.home.iterdir() if file.is_file())
    assert key not in str(KeyRing(read=lambda: [row]).__dict__)


def test_names_are_of_one_valid_key(home: Settings) -> None:
    new_key(home)
    with pytest.raises(DeclarationProblem, match="There is a valid key 'dispatch'"):
        new_key(home)
    revoke_access_key(home, "dispatch", "renewed")
    new_key(home)
    assert [line["state"] for line in list_access_keys(home, ended=True)] == ["revoked", "valid"]
    assert [line["name"] for line in list_access_keys(home)] == ["dispatch"]
    with pytest.raises(NotThere) as caught:
        revoke_access_key(home, "dispach", "")
    assert caught.value.nearest == "dispatch"
    for name in ("", " ", "CAUDAL_KEY", "a\nb", "x" * 101):
        with pytest.raises(DeclarationProblem, match="cannot have the name"):
            new_key(home, name)


@pytest.mark.parametrize("rate", ["", "600", "0/minute", "-1/minute", "600/", "many/minute", "600/fortnight", "5/10 ms"])
def test_a_rate_that_cannot_be_read_is_one_sentence(home: Settings, rate: str) -> None:
    with pytest.raises(DeclarationProblem) as caught:
        new_key(home, rate=rate)
    assert "[" not in caught.value.sentence()  # what is typed stands in no file
    assert list_access_keys(home) == []


@pytest.mark.parametrize("expires", ["", "yesterday", "2020-01-01", "2027-02-30", "0 days"])
def test_an_expiry_that_cannot_be_read_is_one_sentence(home: Settings, expires: str) -> None:
    with pytest.raises(DeclarationProblem) as caught:
        new_key(home, expires=expires)
    assert "[" not in caught.value.sentence()


def test_a_ledger_that_cannot_be_read_leaves_the_known_keys_in_force(served: Any, home: Settings) -> None:
    key = new_key(home)
    rows = served.ledger.find(access_keys)
    answers: list[Any] = [rows, OSError("the disk is gone"), []]

    def read() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    ring = KeyRing(read=read, every_s=0.0)
    ring.refresh()
    assert ring.find(key) is not None
    with pytest.raises(OSError, match="gone"):  # but a server does not begin without them
        KeyRing(read=lambda: (_ for _ in ()).throw(OSError("the disk is gone")))


def test_the_caller_has_a_name(served: Any, home: Settings) -> None:
    app = served.app()
    key = new_key(home)
    names: list[str | None] = []
    app.before_request(lambda: names.append(caller_name()))
    app.test_client().get("/api/v1/models", headers=bearer(key))
    assert names == ["dispatch"]


def test_a_new_key_serves_at_once_though_the_ledger_is_read_seldom(
    served: Any, home: Settings, example: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = new_key(home)
    app = served.app(refresh_s=3600.0)
    client = app.test_client()
    assert client.post(PREDICT, json=example, headers=bearer(first)).status_code == 200
    ring: KeyRing = app.extensions["keys"]
    ring._read_at -= 1.0  # a moment later
    assert client.post(PREDICT, json=example, headers=bearer(new_key(home, "second"))).status_code == 200
    monkeypatch.setattr("caudal.web.keys.UNKNOWN_EVERY_S", 3600.0)
    reads = ring._read_at
    for _ in range(5):
        assert client.post(PREDICT, json=example, headers=bearer("guessed")).status_code == 401
    assert ring._read_at == reads  # guesses do not have the ledger read each time


def test_a_stream_counts_its_rows_and_ends_at_the_limit_or_with_its_key(
    served: Any, home: Settings, example: dict[str, Any]
) -> None:
    key = new_key(home, rate="50/hour")
    app = served.app()
    body = json.dumps(example).encode() + b"\n"
    streamed = {**bearer(key), "Content-Type": "application/x-ndjson"}
    lines = [json.loads(line) for line in app.test_client().post(BATCH, data=body * 80, headers=streamed).data.splitlines()]
    assert [set(line) >= {"prediction", "version"} for line in lines] == [True] * 50 + [False]
    assert lines[-1]["what"] == "The key 'dispatch' may send 50 rows within 1 hour."
    other = new_key(home, "other")
    with app.test_request_context(BATCH, method="POST", headers=bearer(other)):
        assert app.preprocess_request() is None
        refused = rows_refused(app)
        assert refused(1000) is None
        revoke_access_key(home, "other", "")
        assert refused(1000) == (401, "Unauthorized", "The key has ended.")


def test_what_a_limit_refuses_is_not_counted_as_predicted(served: Any, home: Settings, example: dict[str, Any]) -> None:
    start_trial(Home(served.home), served.ledger, "taxi", "duration", 1, share=0.5, who="test")
    key = new_key(home, rate="6/hour")
    app = served.app()
    client = app.test_client()
    asked = [client.post(PREDICT, json={**example, "hour": hour}, headers=bearer(key)).status_code for hour in range(12)]
    assert asked == [200] * 6 + [429] * 6
    rows = sum(tally.rows for tally in app.extensions["caudal"].trials.log.since_start().values())
    assert rows == 6
