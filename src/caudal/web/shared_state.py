"""What several server processes have in common: a folder of files, and a secret."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class SharedState:
    """What server processes have in common.

    Parameters
    ----------
    folder : of files that all of them read and write, removed when the server ends; only the server's user can read it
    secret : signs cookies
    processes : number of processes
    process : the number of this one, from 0; one that replaces another has its number
    """

    folder: Path
    secret: bytes = field(repr=False)
    processes: int = 1
    process: int = 0

    @property
    def sessions(self) -> Path:
        """The folder of signed-in sessions."""
        return self.folder / "sessions"

    @property
    def metrics(self) -> Path:
        """The folder of counters."""
        return self.folder / "metrics"

    @property
    def rates(self) -> Path:
        """The folder of counts of requests by key."""
        return self.folder / "rates"

    @property
    def wrong_keys(self) -> Path:
        """The file of addresses that sent wrong keys."""
        return self.folder / "wrong-keys"


@contextmanager
def shared_state(processes: int) -> Iterator[SharedState]:
    """Yield what so many processes that are forked in the block have in common."""
    folder = Path(tempfile.mkdtemp(prefix="caudal-serve-"))
    try:
        state = SharedState(folder, secrets.token_bytes(32), processes)
        for each in (state.sessions, state.metrics, state.rates):
            each.mkdir()
        yield state
    finally:
        shutil.rmtree(folder, ignore_errors=True)
