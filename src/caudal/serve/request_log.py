"""The requests that a server has answered, written to files from which a source of the same product lands them.

A request only appends to a queue in memory; a thread writes. A prediction neither fails nor waits because of the log: where the queue is full, or the disk,
rows are dropped, counted and told of.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Protocol, cast

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from caudal.errors import CaudalError
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import declarations
from caudal.messaging.request_files import RequestFile
from caudal.serve.champion_cache import Name
from caudal.serve.inputs import Row
from caudal.serve.predicting import Answer
from caudal.serve.request_rows import AnsweredRow, RowLayout
from caudal.serve.served import Served
from caudal.web.access import caller_name

FLUSH_S = 0.5
LEARN_S = 5.0  # between two looks at which models are logged
TOLD_S = 60.0  # between two lines of the log about dropped rows
MOST_WAITING = 20_000  # rows in memory
FINISHED_AFTER_S = 60.0  # an older file is finished, so that what waits for it need not take it
FINISHED_BYTES = 64 << 20
_LINES = 500  # that are written at a time
_BREATH = 8  # lines, after which other threads may go on

log = logging.getLogger(__name__)


class CountRows(Protocol):
    """Counts rows of the log: ``logged`` or ``dropped``."""

    def __call__(self, name: Name, outcome: str, rows: int) -> None:
        """Add to a counter."""


@dataclass(frozen=True)
class LoggedModel:
    """A model whose requests are logged.

    Parameters
    ----------
    folder : where the files of its source lie
    sample : the share of requests that is logged
    """

    folder: Path
    sample: float


@dataclass
class _Writing:
    """A file that is written, and when its first line was."""

    file: RequestFile
    since: float
    size: int = 0


class RequestLog:
    """Logs the requests of the models for which a source of requests is declared.

    Parameters
    ----------
    home : the home; where it is gone, rows are dropped
    folder_of : callable ``(product, source)``, returns the folder of a source's files
    models : callable, returns the names of the models that are served
    count_rows : counts what was logged and what was dropped

    Attributes
    ----------
    logged : by product and model; replaced as a whole
    """

    def __init__(
        self,
        home: Path,
        ledger: Ledger,
        folder_of: Callable[[str, str], Path],
        models: Callable[[], Sequence[Name]],
        count_rows: CountRows,
        clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.logged: Mapping[Name, LoggedModel] = {}
        self._home, self._ledger, self._folder_of, self._models, self._count_rows = home, ledger, folder_of, models, count_rows
        self._clock, self._random = clock, random
        self._queue: deque[AnsweredRow] = deque()
        self._identity, self._numbers = secrets.token_hex(8), count(1)
        self._files: dict[tuple[Path, str], _Writing] = {}
        self._layouts: dict[tuple[Name, int], tuple[Served, RowLayout]] = {}
        self._writing, self._counting = threading.Lock(), threading.Lock()
        self._dropped: Counter[Name] = Counter()
        self._untold: Counter[Name] = Counter()
        self._reason = ""
        self._told_at = self._learned_at = -float("inf")

    def add(self, served: Served, answered: Sequence[tuple[int, Row, Answer]], caller: str | None = None) -> None:
        """Log the answered rows of a request, each with its number there, if its model is logged and the request is in the sample."""
        logged = self.logged.get((served.product, served.model))
        if logged is None or (logged.sample < 1.0 and self._random() >= logged.sample):
            return
        if len(self._queue) + len(answered) > MOST_WAITING:
            self._drop((served.product, served.model), len(answered), "rows came faster than they could be written")
            return
        request, at = f"{self._identity}-{next(self._numbers)}", self._clock()
        self._queue.extend(
            AnsweredRow(request, number, at, served, row, answer, caller, logged.sample) for number, row, answer in answered
        )

    def learn(self) -> None:
        """Read from the ledger which models are logged, as the last run of each product has declared it."""
        self._learned_at = time.monotonic()
        try:
            products = sorted({product for product, _ in self._models()})
            entries = [(product, entry) for product in products for entry in self._declared(product)]
        except (SQLAlchemyError, CaudalError, OSError) as error:
            log.warning("which requests are logged cannot be read: %s", f"{type(error).__name__}: {error}".splitlines()[0])
            return
        self.logged = {
            (product, entry["model"]): LoggedModel(self._folder_of(product, entry["source"]), entry["sample"])
            for product, entry in entries
        }

    def flush(self) -> None:
        """Write what is in the queue; what cannot be written is dropped."""
        with self._writing:
            while self._queue:
                self._write([self._queue.popleft() for _ in range(min(_LINES, len(self._queue)))])
            now = self._clock()
            for key, writing in list(self._files.items()):
                if now - writing.since >= FINISHED_AFTER_S or writing.size >= FINISHED_BYTES:
                    self._finish(key)
        self._tell()

    def work(self, stopped: threading.Event) -> None:
        """Write the queue again and again until the server stops."""
        self.learn()
        while not stopped.wait(FLUSH_S):
            self.step()

    def step(self) -> None:
        """Write the queue, and look from time to time which models are logged."""
        try:
            if time.monotonic() - self._learned_at >= LEARN_S:
                self.learn()
            self.flush()
        except Exception as error:  # the thread lives as long as the server
            log.error("requests are not logged: %s", error, exc_info=error)

    def finish(self) -> None:
        """Write the queue and finish all files: the server stops."""
        self.flush()
        with self._writing:
            for key in list(self._files):
                self._finish(key)
        self._tell(at_once=True)

    def _declared(self, product: str) -> list[dict[str, Any]]:
        newest = self._ledger.find(declarations, product=product, newest=True, limit=1)
        document = cast("dict[str, Any]", newest[0]["document"]) if newest else {}
        return list(document.get("request_logs", ()))

    def _write(self, rows: Sequence[AnsweredRow]) -> None:
        by_version: dict[tuple[Name, int], list[AnsweredRow]] = {}
        for row in rows:
            by_version.setdefault(((row.served.product, row.served.model), id(row.served)), []).append(row)
        for (name, _), of_version in by_version.items():
            logged = self.logged.get(name)
            if logged is None:  # not any more
                continue
            try:
                self._append(name, logged.folder, of_version)
            except OSError as error:
                self._drop(name, len(of_version), str(error))
            else:
                self._count_rows(name, "logged", len(of_version))

    def _append(self, name: Name, folder: Path, rows: Sequence[AnsweredRow]) -> None:
        layout = self._layout(name, rows[0].served)
        lines = list[str]()
        for first in range(0, len(rows), _BREATH):
            lines += map(layout.line, islice(rows, first, first + _BREATH))
            time.sleep(0)  # predictions go first
        key = (folder, repr(layout.columns))
        if not self._home.is_dir():
            raise FileNotFoundError(f"the home '{self._home}' is gone")
        folder.mkdir(parents=True, exist_ok=True)
        writing = self._files.get(key)
        if writing is None:
            writing = self._files[key] = _Writing(RequestFile(folder, layout.columns), self._clock())
        writing.size = writing.file.append(("\n".join(lines) + "\n").encode())

    def _layout(self, name: Name, served: Served) -> RowLayout:
        key = (name, served.version)
        known = self._layouts.get(key)
        if known is None or known[0] is not served:
            known = self._layouts[key] = (served, RowLayout(served))
        return known[1]

    def _finish(self, key: tuple[Path, str]) -> None:
        writing = self._files.pop(key)
        try:
            writing.file.finish()
        except OSError as error:  # whoever lands it takes it under its first name
            log.warning("'%s' is not finished: %s", writing.file.path, error)

    def _drop(self, name: Name, rows: int, reason: str) -> None:
        with self._counting:
            self._dropped[name] += rows
            self._untold[name] += rows
            self._reason = reason

    def _tell(self, *, at_once: bool = False) -> None:
        """Count the dropped rows, and log them once a minute."""
        now = time.monotonic()
        with self._counting:
            dropped, self._dropped = self._dropped, Counter()
            untold, reason = Counter[Name](), self._reason
            if now - self._told_at >= TOLD_S or at_once:
                untold, self._untold = self._untold, untold
        for name, rows in dropped.items():
            self._count_rows(name, "dropped", rows)
        for (product, model), rows in sorted(untold.items()):
            self._told_at = now
            log.warning("%d rows of requests of %s/%s are not logged: %s", rows, product, model, reason)


def log_answers(served: Served, answered: Sequence[tuple[int, Row, Answer]]) -> None:
    """Log the answered rows of the request that the app is at."""
    requests: RequestLog = current_app.extensions["request log"]
    requests.add(served, answered, caller_name())
