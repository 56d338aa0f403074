"""Webhooks, whose whole path may be the secret: what the ledger keeps of one, and how an alert finds it again. A real server on loopback."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import caudal as cd
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import alerts
from caudal.observers.alerts import deliver, note, undelivered
from caudal.observers.alerts.happen import Happened
from caudal.tables.home import Home

FAILED = [Happened("failure", "run", "The run failed.")]


class Channels:
    """A chat service: what came, by path, with the header of who sent it; paths that are ``closed`` answer 404."""

    def __init__(self) -> None:
        self.came: list[tuple[str, str | None]] = []
        self.closed: set[str] = set()
        self.port = 0


@pytest.fixture
def channels() -> Iterator[Channels]:
    chat = Channels()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path not in chat.closed:
                chat.came.append((self.path, self.headers["Authorization"]))
            self.send_response(404 if self.path in chat.closed else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    chat.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield chat
    server.shutdown()
    server.server_close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Home(tmp_path / "home").ledger()
    yield opened
    opened.close()


def product(*urls: str, name: str = "shop") -> Product:
    declared = cd.Product(name)
    for url in urls:
        declared.alert(cd.webhook(url))
    return declared


def sent(ledger: Ledger, tmp_path: Path, products: Sequence[Product], now: float = 1e9) -> list[str]:
    return [row["state"] for row in deliver(ledger, Settings(home=tmp_path), products, clock=lambda: now)]


def test_two_channels_of_one_host_both_get_it_and_no_path_is_kept(ledger: Ledger, channels: Channels, tmp_path: Path) -> None:
    host = f"http://127.0.0.1:{channels.port}"
    shop = product(f"{host}/services/T0/HUSHHUSH?sign=HUSHHUSH", f"{host}/services/T0/MUTEMUTE")
    assert note(ledger, shop, FAILED, "1", 1e9) == 2
    assert note(ledger, shop, FAILED, "2", 1e9) == 0  # the same again, to both
    kept = json.dumps(ledger.find(alerts))
    assert "HUSH" not in kept
    assert "MUTE" not in kept
    assert {row["target"] for row in ledger.find(alerts)} == {host}
    assert sent(ledger, tmp_path, [shop]) == ["sent", "sent"]
    assert [path for path, _ in channels.came] == ["/services/T0/HUSHHUSH?sign=HUSHHUSH", "/services/T0/MUTEMUTE"]


def test_a_channel_that_is_closed_keeps_no_other_from_hearing(ledger: Ledger, channels: Channels, tmp_path: Path) -> None:
    host = f"http://127.0.0.1:{channels.port}"
    shop = product(f"{host}/one-HUSHHUSH", f"{host}/two-HUSHHUSH")
    channels.closed.add("/one-HUSHHUSH")
    note(ledger, shop, FAILED, "1", 1e9)
    assert sent(ledger, tmp_path, [shop]) == ["failed", "sent"]
    assert "HUSH" not in str(undelivered(ledger))


def test_an_alert_waits_for_its_product_and_says_when_the_webhook_is_declared_no_more(
    ledger: Ledger, channels: Channels, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{channels.port}/HUSHHUSH"
    note(ledger, product(url), FAILED, "1", 1e9)
    assert sent(ledger, tmp_path, [product(url, name="another")]) == []  # it has no business with it
    assert sent(ledger, tmp_path, [product()]) == ["failed"]
    assert [row["error"] for row in undelivered(ledger)] == ["the product does not declare this webhook any more"]
    assert sent(ledger, tmp_path, [product(url)], 1e9 + 3600) == ["sent"]


def test_user_and_password_of_a_webhook_go_along_and_are_shown_nowhere(ledger: Ledger, channels: Channels, tmp_path: Path) -> None:
    shop = product(f"http://ann:hush%2Fhush@127.0.0.1:{channels.port}/x")
    note(ledger, shop, FAILED, "1", 1e9)
    assert sent(ledger, tmp_path, [shop]) == ["sent"]
    assert channels.came == [("/x", "Basic YW5uOmh1c2gvaHVzaA==")]
    assert "hush" not in json.dumps(ledger.find(alerts))
