"""The certificates that this machine trusts, in the form that Java reads.

The packaged Java has its own list of authorities, without those that a company has added to the machine. Python and
every other program here use the machine's list, so the packaged Java gets that list too.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import struct
from pathlib import Path

from caudal.engine.cache import cache_dir, put_file

_PASSWORD = "changeit"  # noqa: S105  A key store needs one; its content is public.


def trust_store() -> Path | None:
    """Return a Java key store with the machine's trusted authorities, or None if the machine has no such list."""
    listed = ssl.get_default_verify_paths().cafile
    if not listed or not Path(listed).is_file():
        return None
    text = Path(listed).read_text(encoding="ascii", errors="ignore")
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", text, re.DOTALL)
    if not blocks:
        return None
    store = cache_dir("java") / f"trust-{hashlib.sha256(text.encode()).hexdigest()[:16]}.jks"
    return store if store.is_file() else put_file(store, key_store([ssl.PEM_cert_to_DER_cert(block) for block in blocks]))


def key_store(certificates: list[bytes]) -> bytes:
    """Return a key store of type JKS that holds ``certificates`` (DER) as trusted entries.

    The layout is that of ``sun.security.provider.JavaKeyStore`` in OpenJDK: magic, version 2, entries, keyed SHA-1 of it all.
    """
    body = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
    for number, certificate in enumerate(certificates):
        body += struct.pack(">I", 2) + _utf(f"authority-{number}") + struct.pack(">Q", 0)
        body += _utf("X.509") + struct.pack(">I", len(certificate)) + certificate
    key = _PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite"
    return body + hashlib.sha1(key + body, usedforsecurity=False).digest()


def _utf(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()
