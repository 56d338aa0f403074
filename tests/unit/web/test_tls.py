"""A server that encrypts, with certificates made here."""

from __future__ import annotations

import datetime as dt
import http.client
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask

from caudal.errors import EnvironmentProblem
from caudal.web.server import serve_in_thread
from caudal.web.tls import Certificate


def write_certificate(chain: Path, key: Path) -> None:
    """Write a certificate of 127.0.0.1 that vouches for itself, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "caudal")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(private.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )  # fmt: skip
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def get(url: str, trusted: Path) -> bytes:
    connection = http.client.HTTPSConnection(
        url.removeprefix("https://"), context=ssl.create_default_context(cafile=str(trusted)), timeout=20
    )
    connection.request("GET", "/")
    return connection.getresponse().read()


def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    write_certificate(chain, key)
    certificate = Certificate(chain, key)
    app = Flask("secret")
    app.add_url_rule("/", view_func=lambda: "encrypted")
    with serve_in_thread(app, certificate=certificate) as url:
        assert url.startswith("https://")
        assert get(url, chain) == b"encrypted"
        before = tmp_path / "before.pem"
        before.write_bytes(chain.read_bytes())
        plain = http.client.HTTPConnection(url.removeprefix("https://"), timeout=20)
        plain.request("GET", "/")
        with pytest.raises((http.client.HTTPException, OSError)):
            plain.getresponse()
        write_certificate(chain, key)
        certificate.follow()
        assert get(url, chain) == b"encrypted"
        with pytest.raises(ssl.SSLCertVerificationError):
            get(url, before)
        renewed = tmp_path / "renewed.pem"
        renewed.write_bytes(chain.read_bytes())
        write_certificate(chain, tmp_path / "another.pem")  # of another key
        certificate.follow()
        assert get(url, renewed) == b"encrypted"


@pytest.mark.parametrize("fault", ["no chain", "no key", "text", "another key", "a password"])
def test_a_certificate_that_cannot_be_used_is_one_sentence(tmp_path: Path, fault: str) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    write_certificate(chain, key)
    if fault == "no chain":
        chain.unlink()
    elif fault == "no key":
        key.unlink()
    elif fault == "text":
        chain.write_text("a certificate")
    elif fault == "another key":
        write_certificate(tmp_path / "other.pem", key)
    else:
        private = ec.generate_private_key(ec.SECP256R1())
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
            )
        )
    with pytest.raises(EnvironmentProblem, match="cannot be used"):
        Certificate(chain, key)


def test_key_and_certificate_may_stand_in_one_file(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    write_certificate(chain, key)
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + chain.read_bytes())
    key.unlink()
    app = Flask("one")
    app.add_url_rule("/", view_func=lambda: "encrypted")
    with serve_in_thread(app, certificate=Certificate(both)) as url:
        assert get(url, chain) == b"encrypted"
