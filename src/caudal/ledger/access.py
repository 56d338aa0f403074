"""Keys to the servers in the ledger: by their hash, with a name, a role, and where wanted an expiry and a limit of requests."""

from __future__ import annotations

import hashlib
import logging
import secrets
import socket
import time

from sqlalchemy import select, update

from caudal.errors import DeclarationProblem, NotThere, nearest
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import access_events, access_keys
from caudal.ledger.rows import AccessEvent, AccessKeyRow, KeyRole

log = logging.getLogger(__name__)

START = 11  # characters of a key that are kept: those by which keys of caudal are known, and four more
SETTING = "CAUDAL_KEY"  # the name of the key that is a setting of the server


def key_hash(key: str) -> str:
    """Return the SHA-256 of a key, hexadecimal. A key of ``new_key`` has 256 random bits, so that a slow hash would protect no better."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_key() -> str:
    """Return a key that nobody can guess.

    Examples
    --------
    >>> len(new_key()), new_key()[:7]
    (50, 'caudal_')
    """
    return f"caudal_{secrets.token_urlsafe(32)}"


def is_valid(row: AccessKeyRow, at: float) -> bool:
    """Return whether a key is neither revoked nor expired."""
    return row["revoked_at"] is None and (row["expires_at"] is None or at < row["expires_at"])


def add_key(
    ledger: Ledger, name: str, role: KeyRole, *, who: str, expires_at: float | None = None, rate: tuple[int, float] | None = None
) -> tuple[AccessKeyRow, str]:
    """Add a key, and return its row and the key itself, which cannot be had again.

    Parameters
    ----------
    who : the user who adds it
    expires_at : seconds since 1970, UTC; it does not expire where left out
    rate : most requests, and the seconds within which

    Raises
    ------
    DeclarationProblem : a valid key has this name
    """
    if name == SETTING or not name.strip() or len(name) > 100 or not name.isprintable():
        raise DeclarationProblem(
            f"A key cannot have the name '{name}'.",
            fix=f"Give it a name of 1 to 100 printed characters other than {SETTING}, which is the key of the server's settings.",
        )
    now, key = time.time(), new_key()
    if any(is_valid(row, now) for row in ledger.find(access_keys, name=name)):
        raise DeclarationProblem(
            f"There is a valid key '{name}'.", fix=f"Take another name, or revoke that one first: caudal key revoke {name}."
        )
    row = {
        "name": name,
        "sha256": key_hash(key),
        "start": key[:START],
        "role": role,
        "rate_count": rate[0] if rate else None,
        "rate_s": rate[1] if rate else None,
        "created_at": now,
        "created_by": who,
        "expires_at": expires_at,
    }
    ledger.add(access_keys, row)
    return ledger.find(access_keys, sha256=row["sha256"])[0], key


def revoke_key(ledger: Ledger, name: str, *, who: str, reason: str) -> AccessKeyRow:
    """Revoke the valid key of a name, and return its row.

    Raises
    ------
    NotThere : no valid key has this name
    """
    now = time.time()
    rows = ledger.find(access_keys)
    valid = {row["name"]: row for row in rows if is_valid(row, now)}
    if name not in valid:
        ended = any(row["name"] == name for row in rows)
        raise NotThere(
            f"The key '{name}' is {'not valid any more' if ended else 'not there'}.",
            nearest=None if ended else nearest(name, list(valid)),
            fix="'caudal key list' has the valid keys.",
        )
    statement = update(access_keys).where(access_keys.c.id == valid[name]["id"], access_keys.c.revoked_at.is_(None))
    with ledger.engine.begin() as connection:
        connection.execute(statement.values(revoked_at=now, revoked_by=who, reason=reason))
    return ledger.find(access_keys, id=valid[name]["id"])[0]


def keys(ledger: Ledger) -> list[AccessKeyRow]:
    """Return all keys, those that are not valid any more too, in the order in which they were added."""
    return ledger.rows(select(access_keys).order_by(access_keys.c.id), access_keys)


def record_event(ledger: Ledger, server: str, event: AccessEvent, key_name: str | None, address: str) -> None:
    """Keep what a visitor of a server did; a ledger that cannot be written to holds up nobody."""
    row = {
        "at": time.time(),
        "event": event,
        "key_name": key_name,
        "address": address,
        "server": server,
        "host": socket.gethostname(),
    }
    try:
        ledger.add(access_events, row)
    except Exception as error:  # noqa: BLE001  a database may raise anything
        log.warning("'%s' by %s from %s is not kept: %s", event, key_name, address, str(error).partition("\n")[0])
