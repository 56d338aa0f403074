"""The console's server: a separate process, because each open page occupies a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from caudal.console.app import create_console
from caudal.console.events import VIEWERS
from caudal.web.access import demand_key
from caudal.web.server import serve_until_signal
from caudal.web.tls import Certificate

# Threads in addition to those occupied by pages, for their scripts and callbacks.
_SPARE = 8


def serve_console(
    home: Path,
    *,
    ledger: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8001,
    key: str | None = None,
    certificate: Certificate | None = None,
    viewers: int = VIEWERS,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Show the streams and the runs of a home until SIGINT or SIGTERM.

    Parameters
    ----------
    home : Path, the folder with the live feeds
    ledger : str, optional, the ledger's database URL; SQLite in the home when left out
    host, port : the address; port 0 takes a free one
    key : str, optional, a key that visitors may give besides those of the ledger; one must be there unless only this machine can reach the host
    certificate : Certificate, optional, with which the server encrypts
    viewers : most pages that follow a stream at a time
    announce : callable, called with the address once the server listens; prints it by default

    Raises
    ------
    DeclarationProblem
        others reach the host and neither the settings nor the ledger have a key
    EnvironmentProblem
        the address is taken or not one of this machine's
    """
    app = create_console(home, ledger=ledger, key=key, viewers=viewers, tls=certificate is not None)
    demand_key(host, app.extensions["keys"])

    def begin(url: str, _stopped: threading.Event) -> None:
        (announce or _print)(url)

    serve_until_signal(app, host=host, port=port, threads=viewers + _SPARE, begin=begin, certificate=certificate)


def _print(url: str) -> None:
    print(f"Console on {url}  (stop with Ctrl+C)", flush=True)
