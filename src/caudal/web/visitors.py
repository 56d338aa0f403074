"""Signed-in sessions, and addresses that must wait after wrong keys: kept in this process's memory, with limits."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from werkzeug.exceptions import TooManyRequests

MOST_SESSIONS = 10_000
MOST_CALLERS = 10_000
FREE_TRIES = 5  # wrong keys in a row before an address has to wait
LONGEST_WAIT_S = 60.0


class Sessions:
    """The sessions of visitors who have signed in.

    Parameters
    ----------
    lasting_s : lifetime of a session, from its beginning
    clock : callable, monotonic seconds

    Examples
    --------
    >>> sessions = Sessions(3600)
    >>> session = sessions.begin(7)
    >>> sessions.key_of(session), sessions.key_of("guessed")
    (7, None)
    >>> sessions.end(session)
    >>> sessions.key_of(session) is None
    True
    """

    def __init__(self, lasting_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.lasting_s, self._clock = lasting_s, clock
        self._begun: OrderedDict[str, tuple[int, float]] = OrderedDict()  # the number of the key, and when it ends
        self._lock = threading.Lock()

    def begin(self, key: int) -> str:
        """Return the identifier of a new session that the key of a number opens; if there are too many, the oldest ends."""
        identifier = secrets.token_urlsafe(24)
        with self._lock:
            self._begun[identifier] = (key, self._clock() + self.lasting_s)
            while len(self._begun) > MOST_SESSIONS:
                self._begun.popitem(last=False)
        return identifier

    def key_of(self, identifier: object) -> int | None:
        """Return the number of the key that opened a session; None where it is not valid."""
        with self._lock:
            key, ends = self._begun.get(identifier, (None, 0.0)) if isinstance(identifier, str) else (None, 0.0)
        return key if self._clock() < ends else None

    def end(self, identifier: object) -> None:
        """End a session for every holder of its cookie."""
        if isinstance(identifier, str):
            with self._lock:
                self._begun.pop(identifier, None)


class SharedSessions:
    """Sessions that several server processes know: a file for each, named by its hash, that holds the number of the key; its time of change is when it ends.

    Parameters
    ----------
    folder : Path, where the files are
    """

    def __init__(self, lasting_s: float, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.lasting_s, self._folder, self._clock = lasting_s, folder, clock

    def begin(self, key: int) -> str:
        """Return the identifier of a new session that the key of a number opens; if there are too many, those that end first are ended."""
        identifier = secrets.token_urlsafe(24)
        file, ends = self._file(identifier), self._clock() + self.lasting_s
        file.touch(mode=0o600)
        file.write_text(str(key))
        os.utime(file, (ends, ends))
        files = list(self._folder.iterdir())
        if len(files) > MOST_SESSIONS:
            for oldest in sorted(files, key=_ends)[: len(files) - MOST_SESSIONS]:
                oldest.unlink(missing_ok=True)
        return identifier

    def key_of(self, identifier: object) -> int | None:
        """Return the number of the key that opened a session; None where it is not valid."""
        if not isinstance(identifier, str) or self._clock() >= _ends(file := self._file(identifier)):
            return None
        try:
            return int(file.read_text())
        except (OSError, ValueError):  # ended at this moment
            return None

    def end(self, identifier: object) -> None:
        """End a session for every holder of its cookie."""
        if isinstance(identifier, str):
            self._file(identifier).unlink(missing_ok=True)

    def _file(self, identifier: str) -> Path:
        return self._folder / hashlib.sha256(identifier.encode()).hexdigest()


def _ends(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return -float("inf")


class WrongKeys:
    """Addresses that sent wrong keys: after five in a row, each further one costs a wait that doubles up to a minute.

    Examples
    --------
    >>> wrong_keys = WrongKeys(clock=lambda: 0.0)
    >>> for _ in range(6):
    ...     wrong_keys.hold_back("192.0.2.1")
    ...     wrong_keys.count("192.0.2.1")
    >>> wrong_keys.wait_s("192.0.2.1"), wrong_keys.wait_s("192.0.2.2")
    (1.0, 0.0)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: OrderedDict[str, tuple[int, float]] = (
            OrderedDict()
        )  # by address: number of consecutive wrong keys, and the time of the newest
        self._lock = threading.Lock()

    def count(self, caller: str) -> None:
        """Record a wrong key."""
        with self._lock:
            tries, _ = self._tries.pop(caller, (0, 0.0))
            self._tries[caller] = (tries + 1, self._clock())
            while len(self._tries) > MOST_CALLERS:
                self._tries.popitem(last=False)

    def forget(self, caller: str) -> None:
        """Record a right key: the address has no wrong keys any more."""
        with self._lock:
            self._tries.pop(caller, None)

    def tries(self, caller: str) -> tuple[int, float]:
        """Return the number of wrong keys in a row, and the time of the newest."""
        with self._lock:
            return self._tries.get(caller, (0, 0.0))

    def wait_s(self, caller: str) -> float:
        """Return how long an address still has to wait."""
        tries, at = self.tries(caller)
        if tries <= FREE_TRIES:
            return 0.0
        wait = min(LONGEST_WAIT_S, 2.0 ** min(tries - FREE_TRIES - 1, 10))
        return max(0.0, at + wait - self._clock())

    def hold_back(self, caller: str) -> None:
        """Refuse to check a key from an address that has to wait.

        Raises
        ------
        TooManyRequests : the address has to wait; ``Retry-After`` says how long
        """
        wait = self.wait_s(caller)
        if wait > 0:
            raise TooManyRequests("Wrong keys came from this address.", retry_after=max(1, round(wait + 0.5)))
