"""``caudal serve``: the champions on one address, until a signal stops the server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from flask import Flask

from caudal.ledger.access import keys
from caudal.ledger.ledger import open_ledger
from caudal.serve.app import create_app
from caudal.serve.before_fork import SharedModels, load_shared
from caudal.serve.champion_cache import ChampionCache, Load
from caudal.serve.fast_lane import FastLane
from caudal.serve.minute_log import ServingMinuteLog
from caudal.serve.processes import answer_promptly, serve_by_processes
from caudal.serve.request_log import RequestLog
from caudal.storage.place import Place
from caudal.tables.home import Home
from caudal.tables.views import view_place
from caudal.web.access import demand_key
from caudal.web.browsers import is_loopback
from caudal.web.keys import KeyRing
from caudal.web.processes import can_fork
from caudal.web.server import serve_until_signal
from caudal.web.shared_state import SharedState
from caudal.web.tls import Certificate

log = logging.getLogger(__name__)


def serve(
    home: Path,
    ledger_url: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    key: str | None = None,
    product: str | None = None,
    model: str | None = None,
    trust: Sequence[str] = (),
    threads: int = 4,
    processes: int = 1,
    announce: Callable[[str], None] | None = None,
    loader: Load | None = None,
    lake: Place | None = None,
    online: str | None = None,
    certificate: Certificate | None = None,
) -> None:
    """Serve the champions until SIGINT or SIGTERM; current requests are finished.

    Parameters
    ----------
    host, port : the address; port 0 takes a free one
    key : str, optional, a key that callers may give besides those of the ledger; one must be there unless only this machine can reach the host
    threads : most requests of a process that are answered at a time, beside predictions of compiled models
    processes : server processes, of which each has the models in memory; one where processes cannot be forked
    trust : types that a stored model may contain besides the known safe ones
    announce : callable, called with the address once the champions are loaded; prints it by default
    lake : Place, optional, the lake if it is not in the home
    online : str, optional, address of the place of online views if they are not in the home
    certificate : Certificate, optional, with which the server encrypts

    Raises
    ------
    DeclarationProblem
        others reach the host and neither the settings nor the ledger have a key; the setting online names no place
    EnvironmentProblem
        the address is taken or not one of this machine's; a library for the place of online views is not installed
    """
    with closing(view_place(Home(home, ledger_url, lake, online))):  # what it needs is missed here, and not in each process
        pass
    # Closed before processes are forked, which would share the connection.
    with closing(open_ledger(ledger_url)) as ledger:
        demand_key(host, KeyRing(key, partial(keys, ledger)))
    if certificate is None and not is_loopback(host):
        log.warning("keys and predictions travel unencrypted to %s: give --tls-certificate, or put a proxy with TLS in front", host)

    models: SharedModels = {}

    def new_app(shared: SharedState | None = None) -> Flask:
        return create_app(
            home, ledger_url, product=product, model=model, key=key, trust=trust, loader=loader, lake=lake, online=online,
            shared=shared, tls=certificate is not None, models=models,
        )  # fmt: skip

    if processes > 1 and not can_fork():
        log.warning("server processes cannot be forked on this system: one serves in place of %d", processes)
    elif processes > 1:
        if loader is None:
            models = load_shared(Home(home, ledger_url, lake), ledger_url, product, model, trust=trust)
        serve_by_processes(
            new_app, ledger_url, host=host, port=port, threads=threads, processes=processes, announce=announce or _print,
            certificate=certificate,
        )  # fmt: skip
        return
    app = new_app()

    def follow(url: str, stopped: threading.Event) -> None:
        threading.Thread(target=_follow, args=(app, url, announce or _print, stopped), daemon=True).start()

    lane: FastLane = app.extensions["fast lane"]
    serve_until_signal(
        app, host=host, port=port, threads=threads, begin=follow, lane=lane.connection_answer, certificate=certificate
    )
    app.extensions["minute log"].finish()
    app.extensions["request log"].finish()


def _follow(app: Flask, url: str, announce: Callable[[str], None], stopped: threading.Event) -> None:
    """Load the champions, announce the address, and look for promotions, so that no request waits for a model to load."""
    champions: ChampionCache = app.extensions["caudal"]
    minute_log: ServingMinuteLog = app.extensions["minute log"]
    minute_log.begin()
    champions.refresh()
    answer_promptly()
    app.extensions["request log"].learn()
    announce(url)
    threading.Thread(target=minute_log.work, args=(stopped,), name="minute log", daemon=True).start()
    ring: KeyRing = app.extensions["keys"]
    requests: RequestLog = app.extensions["request log"]
    threading.Thread(target=requests.work, args=(stopped,), name="request log", daemon=True).start()
    while not stopped.wait(champions.every_s):
        champions.refresh()
        ring.refresh()


def _print(url: str) -> None:
    print(f"Serving on {url}  (stop with Ctrl+C)", flush=True)
