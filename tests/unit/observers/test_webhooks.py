"""Webhooks, whose whole path may be the secret: what the ledger keeps of one, and how an alert finds it again. A real server on loopback."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import caudal as cd
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import alerts
from caudal.observers.alerts import deliver_alerts, queue_alerts, undelivered
from caudal.observers.alerts.happen import AlertEvent
from caudal.secret import redact
from caudal.tables.home import Home

FAILED = [AlertEvent("failure", "run", "The run failed.")]


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
            self.send_response(404 if self.path in chat.closed else 302 if self.path == "/moved" else 200)
            if self.path == "/moved":
                self.send_header("Location", f"http://localhost:{chat.port}/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            chat.came.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
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
    return [row["state"] for row in deliver_alerts(ledger, Settings(home=tmp_path), products, clock=lambda: now)]


def test_two_channels_of_one_host_both_get_it_and_no_path_is_kept(ledger: Ledger, channels: Channels, tmp_path: Path) -> None:
    host = f"http://127.0.0.1:{channels.port}"
    shop = product(f"{host}/services/T0/HUSHHUSH?sign=HUSHHUSH", f"{host}/services/T0/MUTEMUTE")
    assert queue_alerts(ledger, shop, FAILED, "1", 1e9) == 2
    assert queue_alerts(ledger, shop, FAILED, "2", 1e9) == 0  # the same again, to both
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
    queue_alerts(ledger, shop, FAILED, "1", 1e9)
    assert sent(ledger, tmp_path, [shop]) == ["failed", "sent"]
    assert "HUSH" not in str(undelivered(ledger))


def test_an_alert_waits_for_its_product_and_says_when_the_webhook_is_declared_no_more(
    ledger: Ledger, channels: Channels, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{channels.port}/HUSHHUSH"
    queue_alerts(ledger, product(url), FAILED, "1", 1e9)
    assert sent(ledger, tmp_path, [product(url, name="another")]) == []  # it has no business with it
    assert sent(ledger, tmp_path, [product()]) == ["failed"]
    assert [row["error"] for row in undelivered(ledger)] == ["the product does not declare this webhook any more"]
    assert sent(ledger, tmp_path, [product(url)], 1e9 + 3600) == ["sent"]


def test_user_and_password_of_a_webhook_go_along_and_are_shown_nowhere(ledger: Ledger, channels: Channels, tmp_path: Path) -> None:
    shop = product(f"http://ann:hush%2Fhush@127.0.0.1:{channels.port}/x")
    queue_alerts(ledger, shop, FAILED, "1", 1e9)
    assert sent(ledger, tmp_path, [shop]) == ["sent"]
    assert channels.came == [("/x", "Basic YW5uOmh1c2gvaHVzaA==")]
    assert "hush" not in json.dumps(ledger.find(alerts))


def test_a_login_does_not_follow_to_another_host(ledger: Ledger, channels: Channels, tmp_path: Path) -> None:
    shop = product(f"http://ann:hushhush@127.0.0.1:{channels.port}/moved")
    queue_alerts(ledger, shop, FAILED, "1", 1e9)
    sent(ledger, tmp_path, [shop])
    (first, login), (second, nothing) = channels.came
    assert (first, second) == ("/moved", "/elsewhere")
    assert login is not None
    assert nothing is None


def test_a_login_of_the_users_file_does_not_take_the_place_of_the_declared_one(
    ledger: Ledger, channels: Channels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login another password another\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOOK_KEY", "declared")
    shop = cd.Product("shop")
    shop.alert(cd.webhook(f"http://127.0.0.1:{channels.port}/x", secret="HOOK_KEY"))
    queue_alerts(ledger, shop, FAILED, "1", 1e9)
    assert sent(ledger, tmp_path, [shop]) == ["sent"]
    assert channels.came == [("/x", "Bearer declared")]


def test_a_webhook_that_nobody_answers_is_told_by_what_it_began_with(ledger: Ledger, tmp_path: Path) -> None:
    shop = product("http://127.0.0.1:1/x")
    queue_alerts(ledger, shop, FAILED, "1", 1e9)
    assert sent(ledger, tmp_path, [shop]) == ["failed"]
    assert [row["error"] for row in undelivered(ledger)] == ["[Errno 111] Connection refused"]


def test_an_authority_that_this_machine_trusts_is_believed(
    ledger: Ledger, channels: Channels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = own_certificate(tmp_path)
    came: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            came.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shop = product(f"https://127.0.0.1:{server.server_port}/x")
    queue_alerts(ledger, shop, FAILED, "1", 1e9)
    assert sent(ledger, tmp_path, [shop]) == ["failed"]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert sent(ledger, tmp_path, [shop], 1e9 + 3600) == ["sent"]
    assert came == ["/x"]
    server.shutdown()
    server.server_close()


def own_certificate(folder: Path) -> Path:
    """Return a file with a key and a certificate of 127.0.0.1 that nobody has signed but itself."""
    now = dt.datetime.now(dt.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "own.pem").write_bytes(plain + signed.public_bytes(serialization.Encoding.PEM))
    return folder / "own.pem"


def test_a_message_that_names_the_path_of_a_webhook_is_shown_without_it() -> None:
    """What a server or a library says of an address may repeat its path, percent-encoded or not; words of it are no secrets."""
    cd.webhook("https://hooks.example.org/services/T0/QUIETQUIETQUIET/b0?sign=STILLSTILL")
    said = redact("no answer from /services/T0/QUIETQUIETQUIET/b0 (services of hooks.example.org)")
    assert "QUIET" not in said
    assert "services of hooks.example.org" in said
    assert "STILL" not in redact("refused: sign=STILLSTILL")
