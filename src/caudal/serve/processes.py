"""Serving by several processes: each answers, and hands over what it has counted to their parent, which writes it."""

from __future__ import annotations

import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from flask import Flask

from caudal.ledger.ledger import open_ledger
from caudal.serve.champion_cache import ChampionCache
from caudal.serve.fast_lane import FastLane
from caudal.serve.input_watch import InputTotals
from caudal.serve.meter import share_counters
from caudal.serve.minute_log import HandedOver, ReportedModels, ServingMinuteLog
from caudal.serve.request_log import RequestLog
from caudal.serve.trial_log import TrialTotals
from caudal.web.keys import KeyRing
from caudal.web.processes import ServerProcesses
from caudal.web.server import Server, listen, url_of
from caudal.web.shared_state import SharedState, shared_state
from caudal.web.tls import Certificate

HAND_OVER_S = 1.0
LEARN_S = 60.0  # between two looks at which models have an SLA
SWITCH_S = 0.0005  # a request that comes while another thread computes waits as long; Python has 0.005
PATIENCE_S = 30.0  # after the end of a minute, for a process that does not hand over

NewApp = Callable[[SharedState], Flask]


def serve_by_processes(
    new_app: NewApp, ledger_url: str, *, host: str, port: int, threads: int, processes: int, announce: Callable[[str], None],
    certificate: Certificate | None = None,
) -> None:  # fmt: skip
    """Serve the champions by several processes until SIGINT or SIGTERM; see `caudal.serve.serve`.

    Parameters
    ----------
    new_app : makes the app of a process, in that process
    """
    listening = listen(host, port)
    writer = FigureWriter(ledger_url, partial(announce, url_of(host, listening, tls=certificate is not None)))
    try:
        with shared_state(processes) as shared:
            answer_promptly()  # what is imported is not looked through in each process, and stays shared
            ServerProcesses(
                processes,
                partial(_serve, new_app, shared, listening, threads, certificate, os.getpid()),
                writer.receive,
                writer.tick,
            ).run()
    finally:
        listening.close()
        writer.finish()


def answer_promptly() -> None:
    """Let no answer wait for the rest of the process.

    Garbage is looked for from now on, but not among what is there, which stays. A thread that computes (figures, the request log, a look for promotions)
    hands the interpreter over after a tenth of the time that Python gives it.
    """
    gc.freeze()
    gc.enable()
    sys.setswitchinterval(SWITCH_S)


class FigureWriter:
    """Writes the figures of minutes from what server processes hand over.

    Parameters
    ----------
    announce : called when the first process is ready
    """

    def __init__(self, ledger_url: str, announce: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        self._ledger_url, self._announce, self._clock = ledger_url, announce, clock
        self._written_until = int(clock() // 60)
        self._counted_until: dict[int, float] = {}
        # Made with the first message: what is open when a process is forked is open in that process too.
        self._models: ReportedModels | None = None
        self._log: ServingMinuteLog | None = None

    def receive(self, handed: HandedOver) -> None:
        """Add what a process has counted."""
        if self._log is None or self._models is None:
            self._models = ReportedModels(open_ledger(self._ledger_url))
            self._log = ServingMinuteLog(self._models, self._clock)
            self._log.look()
            self._announce()
        self._models.report(handed)
        self._log.merge(handed)
        self._counted_until[handed.process] = handed.at

    def tick(self, processes: Collection[int]) -> None:
        """Write the figures of the minutes for which all processes have handed over what they had counted.

        Parameters
        ----------
        processes : numbers of those that run
        """
        now = self._clock()
        minute = int(now // 60)
        if self._log is None or minute <= self._written_until:
            return
        behind = any(self._counted_until.get(process, 0.0) < minute * 60 for process in processes)
        if not behind or now >= minute * 60 + PATIENCE_S:
            self._log.look(minute)
            self._written_until = minute

    def finish(self) -> None:
        """Write what is left."""
        if self._log is not None:
            self._log.finish()


def _serve(
    new_app: NewApp,
    shared: SharedState,
    listening: socket.socket,
    threads: int,
    certificate: Certificate | None,
    parent: int,
    number: int,
    send: Callable[[HandedOver], None],
) -> None:
    """Serve in one of the processes."""
    shared = replace(shared, process=number)
    share_counters(shared.metrics)
    app = new_app(shared)
    champions: ChampionCache = app.extensions["caudal"]
    log: ServingMinuteLog = app.extensions["minute log"]
    keys: KeyRing = app.extensions["keys"]
    totals: InputTotals = app.extensions["input totals"]
    trial_totals: TrialTotals = app.extensions["trial totals"]
    lane: FastLane = app.extensions["fast lane"]
    requests: RequestLog = app.extensions["request log"]
    stopped = app.extensions.setdefault("stopped", threading.Event())
    server = Server(app, threads=threads, lane=lane.connection_answer, stopped=stopped, parent=parent, certificate=certificate)
    sending = threading.Lock()

    def hand_over() -> None:
        with sending:
            handed, inputs = log.hand_over()
            for name, tally in inputs.items():
                totals.add(name, tally)
            trial_totals.add(handed.trials)
            send(handed)

    def count() -> None:
        learned_at = -float("inf")
        while not stopped.wait(HAND_OVER_S):
            hand_over()
            if time.monotonic() - learned_at >= LEARN_S:
                learned_at = time.monotonic()
                log.learn()

    def follow() -> None:
        log.begin()
        champions.refresh()
        answer_promptly()
        requests.learn()
        hand_over()
        threading.Thread(target=requests.work, args=(stopped,), name="request log", daemon=True).start()
        threading.Thread(target=count, name="minute log", daemon=True).start()
        while not stopped.wait(champions.every_s):
            champions.refresh()
            keys.refresh()

    threading.Thread(target=follow, name="promotions", daemon=True).start()
    server.run([listening])
    hand_over()
    requests.finish()
