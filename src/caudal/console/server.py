"""The console's server: a process of its own, since each open page holds a thread for as long as it is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from caudal.console.app import create_console
from caudal.console.events import VIEWERS
from caudal.web.access import demand_key
from caudal.web.server import attend

# Threads beyond those that pages hold: a page asks for scripts and callbacks too.
_SPARE = 8


def console(
    home: Path,
    *,
    ledger: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8001,
    key: str | None = None,
    viewers: int = VIEWERS,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Show the streams and the runs of a home until SIGINT or SIGTERM.

    Parameters
    ----------
    home : Path, the folder with the live feeds
    ledger : str, optional, the ledger's database URL; SQLite in the home when left out
    host, port : where; port 0 takes a free one
    key : str, optional, what visitors must show; demanded unless only this machine reaches the host
    viewers : how many pages may follow a stream at a time
    announce : callable, told the address once it listens; prints it when left out

    Raises
    ------
    DeclarationProblem
        others reach the host and no key is set
    EnvironmentProblem
        the address is taken or not this machine's
    """
    demand_key(host, key)
    app = create_console(home, ledger=ledger, key=key, viewers=viewers)

    def begin(url: str, _stopped: threading.Event) -> None:
        (announce or _print)(url)

    attend(app, host=host, port=port, threads=viewers + _SPARE, begin=begin)


def _print(url: str) -> None:
    print(f"Console on {url}  (stop with Ctrl+C)", flush=True)
