"""A lease on a product: one run at a time, released by the operating system when its holder dies."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caudal.errors import LeaseHeld


@contextmanager
def lease(path: Path, product: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lease of ``product`` for the length of the block.

    Raises
    ------
    LeaseHeld : another process holds it, and did not let go within ``wait_s``
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + wait_s
        while not lock(handle):
            if time.monotonic() >= deadline:
                held_by = holder(path)
                raise LeaseHeld(
                    f"Another run of product '{product}' is at work ({held_by.get('who', 'holder unknown')}).",
                    fix="Wait for it, or give --wait SECONDS.",
                    product=product,
                    pid=held_by.get("pid"),
                )
            time.sleep(0.05)
        sign(handle)
        yield
    finally:
        os.close(handle)  # closing releases the lock, as the holder's death does


def lock(handle: int) -> bool:
    """Lock an open file for its holder alone and return whether that succeeded; closing the file releases it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sign(handle: int) -> None:
    """Write this process as the holder into a locked file."""
    os.ftruncate(handle, 0)
    process = {"pid": os.getpid(), "who": f"process {os.getpid()} on {socket.gethostname()}", "since": time.time()}
    os.pwrite(handle, json.dumps(process).encode(), 0)


def holder(path: Path) -> dict[str, object]:
    """Return the holder of a locked file, as `sign` wrote it; empty when it cannot be read."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}
