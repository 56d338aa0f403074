"""``caudal serve``: the champions on one address, until a signal stops the server."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from flask import Flask

from caudal.ledger.ledger import open_ledger
from caudal.serve.app import create_app
from caudal.serve.champion_cache import ChampionCache, Load
from caudal.serve.fast_lane import FastLane
from caudal.serve.input_watch import InputTotals
from caudal.serve.minute_log import HandedOver, ReportedModels, ServingMinuteLog
from caudal.storage.place import Place
from caudal.web.access import demand_key
from caudal.web.processes import ServerProcesses, SharedState, can_fork, shared_state
from caudal.web.server import Server, listen, serve_until_signal, url_of

HAND_OVER_S = 1.0
LATEST_S = 5.0  # after a minute has ended, what has been counted in it has been handed over


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
) -> None:
    """Serve the champions until SIGINT or SIGTERM; current requests are finished.

    Parameters
    ----------
    host, port : the address; port 0 takes a free one
    key : str, optional, the key that callers must give; required unless only this machine can reach the host
    threads : most requests of a process that are answered at a time, beside predictions of compiled models
    processes : server processes, of which each has the models in memory; one where processes cannot be forked
    trust : types that a stored model may contain besides the known safe ones
    announce : callable, called with the address once the champions are loaded; prints it by default
    lake : Place, optional, the lake if it is not in the home

    Raises
    ------
    DeclarationProblem
        others reach the host and no key is set
    EnvironmentProblem
        the address is taken or not one of this machine's
    """
    demand_key(host, key)

    def new_app(shared: SharedState | None = None) -> Flask:
        return create_app(
            home, ledger_url, product=product, model=model, key=key, trust=trust, loader=loader, lake=lake, shared=shared
        )

    if processes > 1 and can_fork():
        _serve_by_processes(new_app, ledger_url, host, port, threads, processes, announce or _print)
        return
    app = new_app()

    def follow(url: str, stopped: threading.Event) -> None:
        threading.Thread(target=_follow, args=(app, url, announce or _print, stopped), daemon=True).start()

    lane: FastLane = app.extensions["fast lane"]
    serve_until_signal(app, host=host, port=port, threads=threads, begin=follow, lane=lane.connection_answer)
    app.extensions["minute log"].finish()


def _follow(app: Flask, url: str, announce: Callable[[str], None], stopped: threading.Event) -> None:
    """Load the champions, announce the address, and look for promotions, so that no request waits for a model to load."""
    champions: ChampionCache = app.extensions["caudal"]
    champions.refresh()
    announce(url)
    log: ServingMinuteLog = app.extensions["minute log"]
    threading.Thread(target=log.work, args=(stopped,), name="minute log", daemon=True).start()
    while not stopped.wait(champions.every_s):
        champions.refresh()


def _serve_by_processes(
    new_app: Callable[[SharedState], Flask],
    ledger_url: str,
    host: str,
    port: int,
    threads: int,
    processes: int,
    announce: Callable[[str], None],
) -> None:
    """Serve by several processes; this one writes what they have counted."""
    listening = listen(host, port)
    url = url_of(host, listening)
    announced = False
    log: ServingMinuteLog | None = None
    models: ReportedModels | None = None
    written_until = time.time() // 60

    def receive(message: HandedOver) -> None:
        nonlocal announced, log, models
        if log is None or models is None:  # not before the first processes are forked
            models = ReportedModels(open_ledger(ledger_url))
            log = ServingMinuteLog(models)
            log.look()
        models.report(message)
        log.merge(message)
        if not announced:
            announced = True
            announce(url)

    def tick() -> None:
        nonlocal written_until
        minute = (time.time() - LATEST_S) // 60
        if log is not None and minute > written_until:
            log.look()
            written_until = minute

    with shared_state() as shared:
        gc.freeze()  # what is imported is not looked through in each process, and stays shared
        ServerProcesses(processes, partial(_work, new_app, shared, listening, threads), receive, tick).run()
    listening.close()
    if log is not None:
        log.finish()


def _work(
    new_app: Callable[[SharedState], Flask],
    shared: SharedState,
    listening: socket.socket,
    threads: int,
    send: Callable[[HandedOver], None],
) -> None:
    """Serve in a process of several."""
    app = new_app(shared)
    champions: ChampionCache = app.extensions["caudal"]
    log: ServingMinuteLog = app.extensions["minute log"]
    totals: InputTotals = app.extensions["input totals"]
    lane: FastLane = app.extensions["fast lane"]
    sending = threading.Lock()
    http_server = Server(
        app,
        threads=threads,
        lane=lane.connection_answer,
        stopped=app.extensions.setdefault("stopped", threading.Event()),
        parent=os.getppid(),
    )

    def hand_over() -> None:
        with sending:
            handed, inputs = log.hand_over()
            for name, tally in inputs.items():
                totals.add(name, tally)
            send(handed)

    def count() -> None:
        learned_at = -float("inf")
        while not http_server.stopped.wait(HAND_OVER_S):
            hand_over()
            if time.time() - learned_at >= 60:
                learned_at = time.time()
                log.learn()

    def follow() -> None:
        champions.refresh()
        hand_over()
        threading.Thread(target=count, name="minute log", daemon=True).start()
        while not http_server.stopped.wait(champions.every_s):
            champions.refresh()

    threading.Thread(target=follow, name="promotions", daemon=True).start()
    http_server.run([listening])
    hand_over()


def _print(url: str) -> None:
    print(f"Serving on {url}  (stop with Ctrl+C)", flush=True)
