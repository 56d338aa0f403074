"""Who is told of what: a real mail server and a real web server on loopback, each down for a while."""

from __future__ import annotations

import email
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from caudal.batch.batch import run
from caudal.commands.status import home_status
from caudal.daemon.messenger import Messenger
from caudal.declarations.settings import Settings
from caudal.graph.load import load
from caudal.ledger.ledger import open_ledger
from caudal.ledger.records import alerts
from caudal.observers.alerts import deliver_alerts, undelivered
from caudal.tables.home import Home

PRODUCT = """
import caudal as cd
from caudal import expect as ex

product = cd.Product("shop")
product.source("sales", cd.files("sales_*.csv"), schema=cd.schema(id=cd.column("long"), amount=cd.column("double")))
product.alert(cd.mail("team@example.org", sender="caudal@example.org"))
product.alert(cd.webhook("http://127.0.0.1:{port}/hook", secret="HOOK_KEY"), on=("failure", "recovery", "quarantine", "sla"), share=0.2)
product.sla("good", within="1 hour")


@product.table(expect=[ex.positive("amount").quarantine()])
def good(sales):
    if {broken}:
        raise ValueError("the table is broken")
    return sales
"""


class Box:
    """Keeps what mail servers are given."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's)
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"


@pytest.fixture
def mails() -> Iterator[tuple[Box, Controller]]:
    """A mail server."""
    box = Box()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield box, server
    server.stop(no_assert=True)


@pytest.fixture
def hooks() -> Iterator[tuple[list[tuple[dict[str, str], dict[str, Any]]], list[int], int]]:
    """A web server: what it was given, what it answers next (200 unless told), its port."""
    got: list[tuple[dict[str, str], dict[str, Any]]] = []
    answers: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code = answers.pop(0) if answers else 200
            if code == 200:
                got.append((dict(self.headers), body))
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield got, answers, server.server_port
    server.shutdown()
    server.server_close()


def write(folder: Path, port: int, broken: bool) -> None:
    """Write the product."""
    folder.mkdir(exist_ok=True)
    (folder / "product.py").write_text(PRODUCT.format(port=port, broken=broken))


def test_failure_repeat_recovery_and_quarantine_are_told_once_each(tmp_path, mails, hooks, monkeypatch) -> None:
    box, server = mails
    got, _, port = hooks
    monkeypatch.setenv("HOOK_KEY", "not-stored")
    folder, data = tmp_path / "shop", tmp_path / "data"
    data.mkdir()
    (data / "sales_1.csv").write_text("id,amount\n1,5\n2,-1\n3,4\n")
    smtp = f"smtp://127.0.0.1:{server.port}"
    settings = Settings(home=tmp_path / "home", data=data, smtp=smtp)
    write(folder, port, broken=True)
    assert run(folder, settings).error is not None
    assert run(folder, settings).error is not None  # the same again: counted, not told again
    write(folder, port, broken=False)
    assert run(folder, settings).error is None
    titles = [str(one["Subject"]) for one in box.messages]
    assert titles == [
        "[caudal] shop: failed in table:good",
        "[caudal] shop: good is late",
        "[caudal] shop: runs again",
        "[caudal] shop: rows of good set aside",
    ]
    first = box.messages[0]
    assert "the table is broken" in first.get_body().get_content()
    assert [part.get_content_type() for part in first.iter_attachments()] == ["text/html"]
    assert first["To"] == "team@example.org"
    assert [(body["happening"], body["subject"]) for _, body in got] == [
        ("failure", "table:good"), ("sla", "good"), ("recovery", "run"), ("quarantine", "good"),
    ]  # fmt: skip
    assert {head["Authorization"] for head, _ in got} == {"Bearer not-stored"}
    ledger = open_ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    rows = ledger.find(alerts)
    assert {row["state"] for row in rows} == {"sent"}
    assert [row["repeats"] for row in rows if row["happening"] == "failure"] == [1, 1]
    assert "not-stored" not in json.dumps(rows)
    ledger.close()


def test_a_place_that_does_not_answer_is_seen_and_tried_again(tmp_path, hooks) -> None:
    got, answers, port = hooks
    folder, data = tmp_path / "shop", tmp_path / "data"
    data.mkdir()
    (data / "sales_1.csv").write_text("id,amount\n1,5\n")
    settings = Settings(home=tmp_path / "home", data=data, smtp="smtp://127.0.0.1:1")  # nobody listens there
    write(folder, port, broken=True)
    answers.append(503)  # asked once a round, though two alerts wait for it
    assert run(folder, settings).document["state"] == "failed"
    told = home_status(settings)["products"][0]["alerts"]
    assert {(one["to"], one["attempts"]) for one in told} == {("team@example.org", 1), (f"http://127.0.0.1:{port}", 1)}
    assert any("503" in one["error"] for one in told)
    ledger = open_ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")
    assert sorted(row["attempts"] for row in ledger.find(alerts)) == [0, 0, 1, 1]
    products = [load(folder)]
    assert deliver_alerts(ledger, settings, products, clock=lambda: 0.0) == []  # not yet due
    later = max(row["next_at"] for row in ledger.find(alerts)) + 1
    deliver_alerts(ledger, replace(settings), products, clock=lambda: later)
    assert [body["happening"] for _, body in got] == ["failure", "sla"]
    assert {row["kind"] for row in undelivered(ledger)} == {"mail"}
    assert {row["attempts"] for row in undelivered(ledger)} == {2}
    ledger.close()


def test_the_daemon_tells_of_a_table_that_is_late_because_nothing_comes(tmp_path, hooks) -> None:
    got, answers, port = hooks
    folder = tmp_path / "shop"
    write(folder, port, broken=False)
    product, home = load(folder), Home(tmp_path / "home")
    ledger, said, clock = home.ledger(), [], [1000.0]
    messenger = Messenger(
        [product], home, ledger, Settings(home=home.path, smtp="smtp://127.0.0.1:1"), said.append, clock=lambda: clock[0]
    )
    answers.append(503)
    for _ in range(5):
        messenger.look()
        clock[0] += 10
    told = [(one["happening"], one["subject"], one["state"]) for one in said if one["to"].startswith("http")]
    assert told[0] == ("sla", "good", "failed")
    assert told[-1] == ("sla", "good", "sent")
    assert [(body["happening"], body["repeats"]) for _, body in got] == [("sla", 0)]  # late once, however often one looks
    clock[0] += 7 * 3600
    messenger.look()
    assert [body["happening"] for _, body in got] == ["sla", "sla"]
    ledger.close()
