"""Versions in shadow predict after the answers, on one thread that leaves the processor to the answers."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from caudal.serve.predicting import answer_or_none, answers_or_none

if TYPE_CHECKING:
    from caudal.serve.served import Served
    from caudal.serve.trial import Trial

MOST_WAITING = 1000  # rows
IDLE_S = 5.0
AFTER_ANSWER_S = 0.002  # the answer is on its way by then
MOST_AT_ONCE = 64
TIMED_EVERY = 16
REST = 9  # times as long as a stroke

Offered = tuple["Served", "Trial", Mapping[str, object], object]
log = logging.getLogger(__name__)


class ShadowWorker:
    """A thread that predicts by versions in shadow from rows that were answered, and counts both predictions.

    It begins with the first row and ends when none comes for a while. Rows that come while `MOST_WAITING` wait are dropped and counted.
    """

    def __init__(self) -> None:
        self._offered: queue.SimpleQueue[Offered] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._count = 0

    def offer(self, served: Served, trial: Trial, values: Mapping[str, object], prediction: object) -> None:
        """Have the version in shadow predict from a row that the champion has answered; ``prediction`` is None where it could not.

        It neither waits nor fails.
        """
        if self._offered.qsize() >= MOST_WAITING:
            trial.log.drop(trial.challenger_key)
            return
        self._offered.put((served, trial, values, prediction))
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            try:
                offered = self._offered.get(timeout=IDLE_S)
            except queue.Empty:
                with self._starting:
                    own, self._thread = self._thread, None
                    if self._offered.empty():  # what is offered from here on starts another thread
                        return
                    self._thread = own
                continue
            time.sleep(AFTER_ANSWER_S)
            self._predict(offered)

    def _predict(self, offered: Offered | None) -> None:
        """Predict from a row and from those behind it, until none waits.

        After each stroke the thread sleeps for nine times as long: it gives the interpreter back to the answers after one prediction, and not after the 5 ms
        at which Python takes it away, and takes a tenth of a processor at most.
        """
        while offered is not None:
            started = time.perf_counter()
            try:
                offered = self._stroke(offered)
            except Exception:  # whatever a model raises, the next rows are predicted from
                log.exception("a version in shadow cannot predict")
                offered = None
            time.sleep(REST * (time.perf_counter() - started))
            if offered is None:
                try:
                    offered = self._offered.get_nowait()
                except queue.Empty:
                    return

    def _stroke(self, first: Offered) -> Offered | None:
        """Predict from one row by a compiled version, else from some rows at once; return a row of another trial that was taken, if any."""
        served, trial, _, _ = first
        rows, left = [first], None
        while not trial.is_compiled and len(rows) < MOST_AT_ONCE:
            try:
                other = self._offered.get_nowait()
            except queue.Empty:
                break
            if other[1] is not trial:
                left = other
                break
            rows.append(other)
        own = [trial.challenger_row(values) for _, _, values, _ in rows]
        answered = answers_or_none(trial.challenger, own)
        for (_, _, _, prediction), answer in zip(rows, answered, strict=True):
            trial.log.count_shadow(
                trial.champion_key, trial.challenger_key, prediction, None if answer is None else answer["prediction"]
            )
        self._count += len(rows)
        if self._count >= TIMED_EVERY:
            self._count = 0
            self._time(served, trial, first[2])
        return left

    @staticmethod
    def _time(served: Served, trial: Trial, values: Mapping[str, object]) -> None:
        """Time both versions on the same row and the same thread: answers are timed beside other work."""
        for version, key, row in (
            (trial.challenger, trial.challenger_key, trial.challenger_row(values)), (served, trial.champion_key, values),
        ):  # fmt: skip
            started = time.perf_counter()
            if answer_or_none(version, row) is not None:
                trial.log.time(key, time.perf_counter() - started)
