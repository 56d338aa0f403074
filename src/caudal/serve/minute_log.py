"""Latency and errors of served models with an SLA: figures of each minute, written to the ledger by a thread, and gauges of the levels."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from caudal.errors import CaudalError
from caudal.ledger.measurements import Measurement, add_measurements
from caudal.serve.champion_cache import ChampionCache, Name
from caudal.service_levels.agreed import Agreed, stored_agreed
from caudal.service_levels.assess import AgreementState, assess
from caudal.service_levels.history import AVAILABILITY, P95

_MINUTE_S = 60
_MOST_WAITING = 2 * 1440  # figures that wait for the ledger to come back
_LOG = logging.getLogger(__name__)


@dataclass
class _Tally:
    """The requests of a model within a minute."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0


class ServingMinuteLog:
    """Collects the requests for predictions, and writes two figures a minute for each model with an SLA: a request itself only appends a number.

    Parameters
    ----------
    clock : seconds since 1970, UTC
    """

    def __init__(self, champions: ChampionCache, clock: Callable[[], float] = time.time) -> None:
        self._champions, self._ledger, self._clock = champions, champions.ledger, clock
        self._agreed: list[Agreed] = []
        self._watched: frozenset[Name] = frozenset()
        self._tallies: dict[tuple[int, Name], _Tally] = {}
        self._waiting: list[Measurement] = []
        self._written_until = int(clock() // _MINUTE_S)
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self.states: list[tuple[str, AgreementState]] = []

    def count(self, product: str, model: str, status: int, seconds: float) -> None:
        """Count an answered request for predictions; those of models without an SLA are not kept."""
        name = (product, model)
        if name not in self._watched:
            return
        minute = int(self._clock() // _MINUTE_S)
        with self._lock:
            tally = self._tallies.setdefault((minute, name), _Tally())
            tally.seconds.append(seconds)
            tally.errors += status >= 500

    def look(self) -> None:
        """Write the figures of the minutes that are over, see which models have an SLA now, and assess them."""
        if self._write(int(self._clock() // _MINUTE_S)):
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
            _LOG.warning("service levels are not recorded: %s", f"{type(error).__name__}: {error}".splitlines()[0])

    def _collect(self, end: int) -> None:
        """Move the figures of the minutes before ``end`` to those that wait to be written."""
        with self._lock:
            over = {key: self._tallies.pop(key) for key in list(self._tallies) if key[0] < end}
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


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that a share of the values does not exceed.

    Examples
    --------
    >>> percentile([0.4, 0.1, 0.2, 0.3], 0.5), percentile([1.0], 0.95)
    (0.2, 1.0)
    """
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def _figures(name: Name, minute: int, tally: _Tally, *, in_memory: bool) -> Iterator[Measurement]:
    """Yield the figures of a minute: the share of requests without an error of the server, and the 95th percentile of their seconds."""
    start, requests = float(minute * _MINUTE_S), len(tally.seconds)
    share = 1.0 - tally.errors / requests if requests else float(in_memory)
    for metric, value in ((AVAILABILITY, share), (P95, percentile(tally.seconds, 0.95) if requests else None)):
        if value is not None:
            yield Measurement(
                name[0], "", start + _MINUTE_S, "serving", name[1], metric, value, count=requests, window_start=start, window_end=start + _MINUTE_S
            )  # fmt: skip
