"""Requests, latency, errors and odd inputs of served models: figures of each minute, written to the ledger by a thread, and gauges of the levels."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from caudal.errors import CaudalError
from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, add_measurements
from caudal.ledger.served import KIND, REQUESTS
from caudal.serve.champion_cache import Name
from caudal.serve.input_watch import InputTally, Odd, input_measurements
from caudal.serve.served import Served
from caudal.serve.trial_log import MinuteTallies, TrialLog
from caudal.service_levels.agreed import Agreed, stored_agreed
from caudal.service_levels.assess import AgreementState, assess
from caudal.service_levels.history import AVAILABILITY, P95

_MINUTE_S = 60
_MOST_WAITING = 2 * 1440  # figures that wait for the ledger to come back
K = TypeVar("K")
_LOG = logging.getLogger(__name__)


@dataclass
class _Tally:
    """The requests of a model within a minute, and what they sent, by version."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    inputs: dict[int, InputTally] = field(default_factory=dict)


@dataclass(frozen=True)
class HandedOver:
    """What a server process has counted since it last handed over, and the models that it has in memory or cannot load.

    Parameters
    ----------
    process : its number
    at : until when it has counted, in seconds since 1970
    """

    process: int
    at: float
    tallies: dict[tuple[int, Name], _Tally]
    cached: frozenset[Name]
    faults: frozenset[Name]
    trials: MinuteTallies = field(default_factory=dict)


class ServedModels(Protocol):
    """The models that are served: those in memory, and those that are promoted and cannot be loaded."""

    @property
    def ledger(self) -> Ledger:
        """Where their figures are written."""

    @property
    def cached(self) -> Collection[Name]:
        """The names of those in memory."""

    @property
    def faults(self) -> Collection[Name]:
        """The names of those that cannot be loaded."""


class ReportedModels:
    """The models that server processes have, as each has reported them last."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.cached: frozenset[Name] = frozenset()
        self.faults: frozenset[Name] = frozenset()

    def report(self, handed: HandedOver) -> None:
        """Note what a process has."""
        self.cached, self.faults = handed.cached, handed.faults


@dataclass(frozen=True)
class SentRows:
    """The rows of a request for predictions, as they were sent."""

    served: Served
    rows: Sequence[object]


class ServingMinuteLog:
    """Collects the requests for predictions, and writes their figures once a minute: a request itself only appends a number, and looks at what was sent.

    Models with an SLA have figures of each minute, others of minutes with requests.

    Parameters
    ----------
    clock : seconds since 1970, UTC
    trials : what has been counted of versions on trial, which is written with the other figures

    Attributes
    ----------
    inputs : the rows that were sent since the server began, by model
    """

    def __init__(self, champions: ServedModels, clock: Callable[[], float] = time.time, trials: TrialLog | None = None) -> None:
        self.trials = trials or TrialLog(clock)
        self._champions, self._ledger, self._clock = champions, champions.ledger, clock
        self._agreed: list[Agreed] = []
        self._watched: frozenset[Name] = frozenset()
        self._tallies: dict[tuple[int, Name], _Tally] = {}
        self._waiting: list[Measurement] = []
        self._written_until = int(clock() // _MINUTE_S)
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self.states: list[tuple[str, AgreementState]] = []
        self.inputs: dict[Name, InputTally] = {}
        self._written = False

    def count(self, product: str, model: str, status: int, seconds: float, sent: SentRows | None = None) -> None:
        """Count an answered request for predictions, and what it sent; not for models that are neither served nor have an SLA."""
        name = (product, model)
        if name not in self._champions.cached and name not in self._watched:
            return
        rows, odd = (0, list[Odd]()) if sent is None else _looked_at(sent)
        minute = int(self._clock() // _MINUTE_S)
        with self._lock:
            if sent is not None:
                _tally_of(self.inputs, name).add(rows, odd)
            if not self._written:  # an app without the thread that writes
                return
            tally = self._tallies.get((minute, name)) or self._tallies.setdefault((minute, name), _Tally())
            tally.seconds.append(seconds)
            tally.errors += status >= 500
            if sent is not None:
                _tally_of(tally.inputs, sent.served.version).add(rows, odd)

    def count_rows(self, sent: SentRows) -> None:
        """Count rows of a request that goes on, and is itself counted at its end."""
        name = (sent.served.product, sent.served.model)
        rows, odd = _looked_at(sent)
        minute = int(self._clock() // _MINUTE_S)
        with self._lock:
            _tally_of(self.inputs, name).add(rows, odd)
            if self._written:
                tally = self._tallies.get((minute, name)) or self._tallies.setdefault((minute, name), _Tally())
                _tally_of(tally.inputs, sent.served.version).add(rows, odd)

    def begin(self) -> None:
        """Count from now on for who writes the figures: a server calls it before it can predict, so that the first requests count too."""
        self._written = True

    def hand_over(self) -> tuple[HandedOver, dict[Name, InputTally]]:
        """Return what has been counted since the last time, for the process that writes it, and the rows that were sent meanwhile."""
        self.begin()
        with self._lock:
            at, tallies, self._tallies = self._clock(), self._tallies, {}
            inputs = dict(self.inputs)
            self.inputs.clear()
        return HandedOver(
            os.getpid(), at, tallies, frozenset(self._champions.cached), frozenset(self._champions.faults), self.trials.take()
        ), inputs

    def merge(self, handed: HandedOver) -> None:
        """Add what another process has counted.

        Of minutes whose figures are written already, the requests are written beside them, and count; levels of SLAs are without them.
        """
        late = sum(len(tally.seconds) for (minute, _), tally in handed.tallies.items() if minute < self._written_until)
        if late:
            _LOG.warning("%d requests were counted too late for the SLA figures of their minute", late)
        self.trials.merge(handed.trials)
        with self._lock:
            for key, other in handed.tallies.items():
                tally = self._tallies.setdefault(key, _Tally())
                tally.seconds += other.seconds
                tally.errors += other.errors
                for version, inputs in other.inputs.items():
                    mine = _tally_of(tally.inputs, version)
                    mine.rows += inputs.rows
                    mine.odd.update(inputs.odd)

    def learn(self) -> None:
        """See which models have an SLA now, and assess them."""
        with self._logged():
            self._learn()

    def look(self, end: int | None = None) -> None:
        """Write the figures of the minutes that are over, see which models have an SLA now, and assess them.

        Parameters
        ----------
        end : minutes since 1970 before which all has been counted; the current minute when left out
        """
        self.begin()
        if self._write(int(self._clock() // _MINUTE_S) if end is None else end):
            with self._logged():
                self._learn()

    def work(self, stopped: threading.Event) -> None:
        """Look at the beginning of each minute until the server stops."""
        self.look()
        while not stopped.wait(_MINUTE_S - self._clock() % _MINUTE_S + 0.05):
            self.look()

    def finish(self) -> None:
        """Write the figures of the minute that has begun too: the server stops."""
        self._write(int(self._clock() // _MINUTE_S) + 1)

    def _write(self, end: int) -> bool:
        """Write the figures of the minutes before ``end``, and return whether the ledger took them; if not, they wait."""
        with self._writing:
            self._collect(end)
            with self._logged():
                add_measurements(self._ledger, *self._waiting)
                self._waiting.clear()
            return not self._waiting

    @staticmethod
    @contextlib.contextmanager
    def _logged() -> Iterator[None]:
        """Log an error of the ledger in the block: it may come back."""
        try:
            yield
        except (SQLAlchemyError, CaudalError, OSError) as error:
            _LOG.warning("figures of requests are not recorded: %s", f"{type(error).__name__}: {error}".splitlines()[0])

    def _collect(self, end: int) -> None:
        """Move the figures of the minutes before ``end`` to those that wait to be written."""
        with self._lock:
            over = {key: self._tallies.pop(key) for key in list(self._tallies) if key[0] < end}
        for (minute, name), tally in sorted(over.items()):
            self._waiting += _requests(name, minute, tally)
        self._waiting += self.trials.figures(end)
        for minute in range(max(self._written_until, end - _MOST_WAITING), end):
            for name in sorted(self._watched):
                if name in self._champions.cached or name in self._champions.faults:
                    tally = over.get((minute, name), _Tally())
                    self._waiting += _figures(name, minute, tally, in_memory=name in self._champions.cached)
        self._written_until = max(end, self._written_until)
        del self._waiting[:-_MOST_WAITING]

    def _learn(self) -> None:
        products = sorted({product for product, _ in (*self._champions.cached, *self._champions.faults)})
        self._agreed = [agreed for product in products if (agreed := stored_agreed(self._ledger, product))]
        self._watched = frozenset(
            (agreed.product, agreement.subject)
            for agreed in self._agreed
            for agreement, kind in agreed.agreements
            if kind == "serving"
        )
        now = self._clock()
        self.states = [(agreed.product, state) for agreed in self._agreed for state in assess(self._ledger, agreed, now)]


class ServiceLevelGauges(Collector):
    """Reads the levels at each scrape, as they were assessed last."""

    def __init__(self, log: ServingMinuteLog) -> None:
        self._log = log

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield level, target, budget and burn rates of all objectives that have figures."""
        labels = ("product", "subject", "objective")
        level = GaugeMetricFamily("caudal_sla_level", "Share that was good within the window of the SLA.", labels=labels)
        target = GaugeMetricFamily("caudal_sla_target", "Share that the SLA promises.", labels=labels)
        left = GaugeMetricFamily(
            "caudal_sla_budget_left", "Share of the error budget that is left; below 0 the SLA is breached.", labels=labels
        )
        burn = GaugeMetricFamily(
            "caudal_sla_burn_rate",
            "How many times faster than allowed the error budget is spent.",
            labels=(*labels, "window"),
        )
        for product, state in self._log.states:
            for objective in state.objectives:
                names, figures = (product, state.agreement.subject, objective.objective), objective.figures
                if figures.level is None or figures.budget_left is None:
                    continue
                level.add_metric(names, figures.level)
                target.add_metric(names, objective.target)
                left.add_metric(names, figures.budget_left)
                for rate in figures.burns:
                    burn.add_metric((*names, rate.name), rate.long)
        if level.samples:
            yield from (level, target, left, burn)


def _looked_at(sent: SentRows) -> tuple[int, list[Odd]]:
    """Return the number of rows that are rows at all, and what is odd about them."""
    rows, odd, look = 0, list[Odd](), sent.served.learned.odd
    for row in sent.rows:
        if isinstance(row, dict):
            rows += 1
            odd += look(row)
    return rows, odd


def _tally_of(tallies: dict[K, InputTally], key: K) -> InputTally:
    """Return the tally of a key; a new one is made only where there is none, since each request comes by here."""
    tally = tallies.get(key)
    if tally is None:
        tally = tallies[key] = InputTally()
    return tally


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that a share of the values does not exceed.

    Examples
    --------
    >>> percentile([0.4, 0.1, 0.2, 0.3], 0.5), percentile([1.0], 0.95)
    (0.2, 1.0)
    """
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def _requests(name: Name, minute: int, tally: _Tally) -> Iterator[Measurement]:
    """Yield the number of requests of a minute with their errors and seconds, and the inputs that the model has not learned from."""
    start, end, requests = float(minute * _MINUTE_S), float((minute + 1) * _MINUTE_S), len(tally.seconds)
    yield Measurement(
        name[0], "", end, KIND, name[1], REQUESTS, float(requests), count=requests, window_start=start, window_end=end,
        detail={
            "errors": tally.errors, "rows": sum(inputs.rows for inputs in tally.inputs.values()), "p95_s": percentile(tally.seconds, 0.95) if requests else None,
        },
    )  # fmt: skip
    for version, inputs in tally.inputs.items():
        yield from input_measurements(name, version, inputs, start, end)


def _figures(name: Name, minute: int, tally: _Tally, *, in_memory: bool) -> Iterator[Measurement]:
    """Yield the figures of a minute: the share of requests without an error of the server, and the 95th percentile of their seconds."""
    start, requests = float(minute * _MINUTE_S), len(tally.seconds)
    share = 1.0 - tally.errors / requests if requests else float(in_memory)
    for metric, value in ((AVAILABILITY, share), (P95, percentile(tally.seconds, 0.95) if requests else None)):
        if value is not None:
            yield Measurement(
                name[0], "", start + _MINUTE_S, "serving", name[1], metric, value, count=requests, window_start=start, window_end=start + _MINUTE_S
            )  # fmt: skip
