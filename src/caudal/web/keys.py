"""The keys that a server accepts: the one of its settings, and those of the ledger, which come and go while it runs."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from caudal.errors import DeclarationProblem
from caudal.ledger.access import SETTING, is_valid
from caudal.ledger.rows import AccessKeyRow, KeyRole
from caudal.web.key_limit import KeyLimit
from caudal.web.shared_state import SharedState

log = logging.getLogger(__name__)

SHORTEST_KEY = 12  # characters of the key of the settings
UNKNOWN_EVERY_S = 0.2  # between two reads of the ledger because a key is unknown
_PREFIX = 8  # bytes of a hash by which a key is found; the rest is compared in constant time


@dataclass(frozen=True)
class AccessKey:
    """A key that is accepted, or who needs none.

    Parameters
    ----------
    number : in the ledger; 0 for the key of the settings
    name : None where no key is required
    expires_at : seconds since 1970, UTC
    limit : of requests, if there is one
    """

    number: int
    name: str | None
    role: KeyRole
    expires_at: float = float("inf")
    limit: KeyLimit | None = field(default=None, compare=False)

    def may(self, role: KeyRole | None) -> bool:
        """Return whether the key suffices where a role is needed; None: any key does."""
        return role is None or self.role in (role, "admin")


NO_KEY = AccessKey(0, None, "admin")
"""Who asks a server that requires no key."""

ReadKeys = Callable[[], Sequence[AccessKeyRow]]


def check_key_length(key: str | None) -> None:
    """Refuse a key that is too short to be safe.

    Raises
    ------
    DeclarationProblem : the key has fewer than ``SHORTEST_KEY`` characters
    """
    if key and len(key) < SHORTEST_KEY:
        raise DeclarationProblem(
            f"The key has {len(key)} character{'s' if len(key) > 1 else ''}; it needs {SHORTEST_KEY} at least.",
            fix=f"Take one that cannot be guessed, for instance CAUDAL_KEY={secrets.token_urlsafe(24)}.",
        )


class KeyRing:
    """The keys that are accepted now.

    A key is required where the settings have one or the ledger has ever had one: a server does not open because the last key was revoked.

    Parameters
    ----------
    own : str, optional, the key of the settings, of the role ``admin``
    read : callable, optional, returns all keys of the ledger; what it raises leaves the known keys in force
    shared : what this process has in common with others, with which it counts requests
    every_s : shortest time between two reads

    Raises
    ------
    DeclarationProblem : the key of the settings is too short

    Examples
    --------
    >>> ring = KeyRing("the key of this server")
    >>> ring.required, ring.find("the key of this server").role, ring.find("another")
    (True, 'admin', None)
    """

    def __init__(
        self,
        own: str | None = None,
        read: ReadKeys | None = None,
        shared: SharedState | None = None,
        every_s: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_key_length(own)
        self._own = own or None
        self._read, self._shared, self.every_s, self._clock = read, shared, every_s, clock
        self._rows: Sequence[AccessKeyRow] = ()
        self._limits: dict[int, KeyLimit] = {}
        self._by_prefix: dict[bytes, list[tuple[bytes, AccessKey]]] = {}
        self._by_number: dict[int, AccessKey] = {}
        self.required = bool(own)
        self._read_at = -float("inf")
        self._reading = threading.Lock()
        self._take_over(())
        if read is not None:  # a ledger that cannot be read is no reason to let everybody in
            self._take_over(read())
            self._read_at = time.monotonic()

    def refresh(self) -> None:
        """Take over what has changed in the ledger, at most once in ``every_s``; one thread reads, the others go on."""
        if self._read is not None and time.monotonic() - self._read_at >= self.every_s and self._reading.acquire(blocking=False):
            self._reread(self.every_s)

    def look_up(self, sent: str) -> AccessKey | None:
        """Return the valid key of this text; one that is not known may have been added just now, so the ledger is asked, a few times a second at most."""
        key = self.find(sent)
        if key is None and self._read is not None and time.monotonic() - self._read_at >= min(self.every_s, UNKNOWN_EVERY_S):
            self._reading.acquire()
            self._reread(min(self.every_s, UNKNOWN_EVERY_S))
            key = self.find(sent)
        return key

    def _reread(self, every_s: float) -> None:
        """Read the ledger, unless another thread has done so meanwhile; the lock is held, and released here."""
        try:
            if self._read is None or time.monotonic() - self._read_at < every_s:
                return
            self._read_at = time.monotonic()  # before: what is added while it reads is read next time
            rows = self._read()
            if rows != self._rows:
                self._take_over(rows)
        except Exception as error:  # noqa: BLE001  a database may raise anything; the known keys stay in force
            log.warning("the keys cannot be read from the ledger: %s", str(error).partition("\n")[0])
        finally:
            self._reading.release()

    def find(self, sent: str) -> AccessKey | None:
        """Return the valid key of this text."""
        digest = hashlib.sha256(sent.encode("utf-8", "surrogatepass")).digest()
        for known, key in self._by_prefix.get(digest[:_PREFIX], ()):
            if hmac.compare_digest(known, digest):
                return key if self._clock() < key.expires_at else None
        return None

    def numbered(self, number: int | None) -> AccessKey | None:
        """Return the valid key of a number."""
        key = None if number is None else self._by_number.get(number)
        return key if key is not None and self._clock() < key.expires_at else None

    def _take_over(self, rows: Sequence[AccessKeyRow]) -> None:
        by_prefix: dict[bytes, list[tuple[bytes, AccessKey]]] = {}
        by_number: dict[int, AccessKey] = {}
        accepted = [(bytes.fromhex(row["sha256"]), self._key(row)) for row in rows if is_valid(row, self._clock())]
        if self._own:
            accepted.append((hashlib.sha256(self._own.encode("utf-8", "surrogatepass")).digest(), AccessKey(0, SETTING, "admin")))
        for digest, key in accepted:
            by_prefix.setdefault(digest[:_PREFIX], []).append((digest, key))
            by_number[key.number] = key
        self._by_prefix, self._by_number, self._rows = by_prefix, by_number, rows
        self.required = bool(self._own or rows)
        if rows and not accepted:
            log.warning("no key is valid any more, so that nobody has access: 'caudal key add' makes one")

    def _key(self, row: AccessKeyRow) -> AccessKey:
        expires_at = float("inf") if row["expires_at"] is None else row["expires_at"]
        return AccessKey(row["id"], row["name"], row["role"], expires_at, self._limit(row))

    def _limit(self, row: AccessKeyRow) -> KeyLimit | None:
        if row["rate_count"] is None or row["rate_s"] is None:
            return None
        if row["id"] not in self._limits:
            shared = self._shared
            self._limits[row["id"]] = KeyLimit(
                row["rate_count"],
                row["rate_s"],
                file=shared.rates / str(row["id"]) if shared else None,
                process=shared.process if shared else 0,
                processes=shared.processes if shared else 1,
            )
        return self._limits[row["id"]]
