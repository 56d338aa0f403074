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
    """

    folder: Path
    secret: bytes = field(repr=False)

    @property
    def sessions(self) -> Path:
        """The folder of signed-in sessions."""
        return self.folder / "sessions"

    @property
    def metrics(self) -> Path:
        """The folder of counters."""
        return self.folder / "metrics"


@contextmanager
def shared_state() -> Iterator[SharedState]:
    """Yield what processes that are forked in the block have in common."""
    folder = Path(tempfile.mkdtemp(prefix="caudal-serve-"))
    try:
        state = SharedState(folder, secrets.token_bytes(32))
        for each in (state.sessions, state.metrics):
            each.mkdir()
        yield state
    finally:
        shutil.rmtree(folder, ignore_errors=True)
