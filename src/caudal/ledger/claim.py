"""A claim on a name in the ledger: one holder at a time, on whichever machine, and free when its holder is dead.

A holder's beat goes up in the ledger while it lives. Who wants the claim watches the beat by its own monotonic clock and takes over
when it has stood still for ``TTL_S``. No time of day decides: a clock that was set forwards takes nothing from a holder that lives, and
one that was set back keeps nothing for a dead one. A time of day that lies far off only makes it worth while to watch.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import delete, insert, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from caudal.errors import LeaseHeld
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import claims
from caudal.ledger.rows import ClaimRow

TTL_S = 30.0
BEAT_S = 5.0
LONG_AGO_S = 900.0  # a beat that is so old, or so far ahead, is worth being watched
_LOOK_S = 0.2


class Claim:
    """A name that is held."""

    def __init__(self, ledger: Ledger, name: str, holder: str) -> None:
        self.name, self.holder = name, holder
        self._ledger = ledger
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"claim {name}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Prove that the name is still held; to be asked before anything is published.

        Raises
        ------
        LeaseHeld : somebody else has taken it over, while this process was asleep or could not reach the ledger
        """
        if not _beaten(self._ledger, self.name, self.holder):
            raise LeaseHeld(
                f"The claim on '{self.name}' was taken over: this process was not heard of for {TTL_S:.0f} s.",
                fix="Run again: nothing half done is left.",
                product=self.name,
            )

    def release(self) -> None:
        """Let go."""
        self._ended.set()
        self._thread.join()
        with self._ledger.engine.begin() as connection:
            connection.execute(delete(claims).where(claims.c.name == self.name, claims.c.holder == self.holder))

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            with contextlib.suppress(SQLAlchemyError):  # a database that does not answer is asked again
                if not _beaten(self._ledger, self.name, self.holder):
                    return


class Watch:
    """Tells which holders are dead, by looking at their beats again and again."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int, float]] = {}

    def dead(self, row: ClaimRow) -> bool:
        """Tell whether the holder of a claim has died."""
        if gone(row["holder"]):
            return True
        seen = self._seen.get(row["name"])
        if seen is None or seen[:2] != (row["holder"], row["beat"]):
            self._seen[row["name"]] = (row["holder"], row["beat"], time.monotonic())
            return False
        return time.monotonic() - seen[2] > TTL_S


def suspect(row: ClaimRow) -> bool:
    """Tell whether a holder may well be dead: its last beat lies far off, or its machine has been started anew since."""
    said = json.loads(row["holder"])
    rebooted = said["host"] == socket.gethostname() and said.get("boot") not in (None, _boot())
    return rebooted or abs(time.time() - row["at"]) > LONG_AGO_S


@contextlib.contextmanager
def claim(ledger: Ledger, name: str, wait_s: float = 0.0) -> Iterator[Claim]:
    """Hold a name for the length of the block. A holder that may well be dead is watched for as long as it takes to tell.

    Raises
    ------
    LeaseHeld : another process holds it, and did not let go within ``wait_s``
    """
    holder, watch, deadline = myself(), Watch(), time.monotonic() + wait_s
    began = time.monotonic()
    while not _taken(ledger, name, holder, watch):
        if (rows := ledger.find(claims, name=name)) and suspect(rows[0]):
            deadline = max(deadline, began + TTL_S + 2 * _LOOK_S)
        if time.monotonic() >= deadline:
            who = who_holds(ledger, name) or "holder unknown"
            raise LeaseHeld(
                f"Another run of product '{name}' is at work ({who}).", fix="Wait for it, or give --wait SECONDS.", product=name
            )
        time.sleep(_LOOK_S)
    held = Claim(ledger, name, holder)
    try:
        yield held
    finally:
        held.release()


def held_by_another(ledger: Ledger, name: str, watch: Watch) -> bool:
    """Tell whether somebody who lives holds a name."""
    rows = ledger.find(claims, name=name)
    return bool(rows) and not watch.dead(rows[0])


def forget(ledger: Ledger, row: ClaimRow) -> None:
    """Take away the claim of a holder that is dead."""
    with ledger.engine.begin() as connection:
        same = (claims.c.name == row["name"], claims.c.holder == row["holder"], claims.c.beat == row["beat"])
        connection.execute(delete(claims).where(*same))


def who_holds(ledger: Ledger, name: str) -> str | None:
    """Return who holds a name, in words."""
    rows = ledger.find(claims, name=name)
    said = json.loads(rows[0]["holder"]) if rows else None
    return f"process {said['pid']} on {said['host']}" if said else None


def myself() -> str:
    """Return what a holder is called: machine, process, and a word that no other process has."""
    said = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot": _boot(),
        "began": _began(os.getpid()),
        "word": secrets.token_hex(4),
    }
    return json.dumps(said)


def gone(holder: str) -> bool:
    """Tell whether a holder was a process of this machine that is no more."""
    said = json.loads(holder)
    if said["host"] != socket.gethostname() or said.get("boot") not in (None, _boot()):
        return False  # another machine, perhaps of the same name, or this one before it was started anew: the beat tells
    try:
        os.kill(said["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    began = _began(said["pid"])
    return began != said.get("began") and said.get("began") is not None


@functools.cache
def _boot() -> str | None:
    """Return what this start of the machine is called; None where that is not told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # no Linux
        return None


def _began(pid: int) -> str | None:
    """Return when a process began, which tells it from a later one of its number; None where that is not told, and of a dead one."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # no Linux
        return None
    return None if told[0] in "ZX" else told[19]


def _taken(ledger: Ledger, name: str, holder: str, watch: Watch) -> bool:
    rows = ledger.find(claims, name=name)
    try:
        with ledger.engine.begin() as connection:
            if not rows:
                connection.execute(insert(claims).values(name=name, holder=holder, beat=0, at=time.time()))
                return True
            if not watch.dead(rows[0]):
                return False
            old = (claims.c.name == name, claims.c.holder == rows[0]["holder"], claims.c.beat == rows[0]["beat"])
            return connection.execute(update(claims).where(*old).values(holder=holder, beat=0, at=time.time())).rowcount == 1
    except IntegrityError:  # another was quicker
        return False


def _beaten(ledger: Ledger, name: str, holder: str) -> bool:
    mine = update(claims).where(claims.c.name == name, claims.c.holder == holder)
    with ledger.engine.begin() as connection:
        return connection.execute(mine.values(beat=claims.c.beat + 1, at=time.time())).rowcount == 1
