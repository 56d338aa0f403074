"""A claim on a name in the ledger: one process holds it at a time, on any machine; it is free again when that process is dead.

A holder increments its beat in the ledger while it lives. A process that waits for the claim observes the beat by its own monotonic
clock, and takes over when the beat has not changed for ``TTL_S``. Wall clocks do not decide: neither a clock that was set forward nor
one that was set back frees or keeps a claim. A wall time that is far off only makes a waiting process observe the beat.
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
LONG_AGO_S = 900.0  # a beat this old, or this far in the future, is observed
_LOOK_S = 0.2


class Claim:
    """A name that this process holds."""

    def __init__(self, ledger: Ledger, name: str, holder: str) -> None:
        self.name, self.holder = name, holder
        self._ledger = ledger
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"claim {name}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Check that this process still holds the name; to be called before anything is published.

        Raises
        ------
        LeaseHeld : another process has taken it over, while this one was suspended or could not reach the ledger
        """
        if not _write_beat(self._ledger, self.name, self.holder):
            raise LeaseHeld(
                f"The claim on '{self.name}' was taken over: this process did not update it for {TTL_S:.0f} s.",
                fix="Run again: nothing half done is left.",
                product=self.name,
            )

    def release(self) -> None:
        """Release the claim."""
        self._ended.set()
        self._thread.join()
        with self._ledger.engine.begin() as connection:
            connection.execute(delete(claims).where(claims.c.name == self.name, claims.c.holder == self.holder))

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            with contextlib.suppress(SQLAlchemyError):  # retried at the next beat
                if not _write_beat(self._ledger, self.name, self.holder):
                    return


class HolderWatch:
    """Finds dead holders by comparing their beats between calls."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int, float]] = {}

    def dead(self, row: ClaimRow) -> bool:
        """Return whether the holder of a claim has died."""
        if process_is_dead(row["holder"]):
            return True
        last = self._seen.get(row["name"])
        if last is None or last[:2] != (row["holder"], row["beat"]):
            self._seen[row["name"]] = (row["holder"], row["beat"], time.monotonic())
            return False
        return time.monotonic() - last[2] > TTL_S


def may_be_dead(row: ClaimRow) -> bool:
    """Return whether a holder may be dead: the time of its last beat is far off, or its machine has rebooted since."""
    process = json.loads(row["holder"])
    rebooted = process["host"] == socket.gethostname() and process.get("boot") not in (None, _boot_id())
    return rebooted or abs(time.time() - row["at"]) > LONG_AGO_S


@contextlib.contextmanager
def claim(ledger: Ledger, name: str, wait_s: float = 0.0) -> Iterator[Claim]:
    """Hold a name during the block. If the current holder may be dead, wait at least until its beat shows that.

    Raises
    ------
    LeaseHeld : another process holds it, and did not release it within ``wait_s``
    """
    holder, watch, deadline = this_process(), HolderWatch(), time.monotonic() + wait_s
    began = time.monotonic()
    while not _try_claim(ledger, name, holder, watch):
        if (rows := ledger.find(claims, name=name)) and may_be_dead(rows[0]):
            deadline = max(deadline, began + TTL_S + 2 * _LOOK_S)
        if time.monotonic() >= deadline:
            who = who_holds(ledger, name) or "holder unknown"
            raise LeaseHeld(
                f"Another run of product '{name}' is at work ({who}).", fix="Wait for it, or give --wait SECONDS.", product=name
            )
        time.sleep(_LOOK_S)
    held_claim = Claim(ledger, name, holder)
    try:
        yield held_claim
    finally:
        held_claim.release()


def held_by_another(ledger: Ledger, name: str, watch: HolderWatch) -> bool:
    """Return whether a process that is alive holds a name."""
    rows = ledger.find(claims, name=name)
    return bool(rows) and not watch.dead(rows[0])


def delete_claim(ledger: Ledger, row: ClaimRow) -> None:
    """Delete the claim of a dead holder."""
    with ledger.engine.begin() as connection:
        same = (claims.c.name == row["name"], claims.c.holder == row["holder"], claims.c.beat == row["beat"])
        connection.execute(delete(claims).where(*same))


def who_holds(ledger: Ledger, name: str) -> str | None:
    """Return the process that holds a name, as text."""
    rows = ledger.find(claims, name=name)
    process = json.loads(rows[0]["holder"]) if rows else None
    return f"process {process['pid']} on {process['host']}" if process else None


def this_process() -> str:
    """Return the identifier of this process as a holder: host, process, boot and a random word, as JSON."""
    process = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "boot": _boot_id(),
        "began": _start_time(os.getpid()),
        "word": secrets.token_hex(4),
    }
    return json.dumps(process)


def process_is_dead(holder: str) -> bool:
    """Return whether a holder was a process of this machine that has ended."""
    process = json.loads(holder)
    if process["host"] != socket.gethostname() or process.get("boot") not in (None, _boot_id()):
        return False  # another machine, perhaps of the same name, or this one before a reboot: the beat decides
    try:
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    began = _start_time(process["pid"])
    return began != process.get("began") and process.get("began") is not None


@functools.cache
def _boot_id() -> str | None:
    """Return the identifier of the machine's current boot; None where it is not available."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # no Linux
        return None


def _start_time(pid: int) -> str | None:
    """Return a process's start time, which differs from that of a later process with its number; None where unknown or dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # no Linux
        return None
    return None if fields[0] in "ZX" else fields[19]


def _try_claim(ledger: Ledger, name: str, holder: str, watch: HolderWatch) -> bool:
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
    except IntegrityError:  # another process was faster
        return False


def _write_beat(ledger: Ledger, name: str, holder: str) -> bool:
    mine = update(claims).where(claims.c.name == name, claims.c.holder == holder)
    with ledger.engine.begin() as connection:
        return connection.execute(mine.values(beat=claims.c.beat + 1, at=time.time())).rowcount == 1
