"""What versions on trial and those in production do meanwhile: figures of each minute, and counters since the server began."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from caudal.ledger.measurements import Measurement
from caudal.ledger.trials import TrialKey, TrialTally, tally_measurement

MinuteTallies = dict[tuple[int, TrialKey], TrialTally]
_MINUTE_S = 60
_MOST_KEPT = 2000  # tallies of minutes
_LABELS = ("product", "model", "role", "version")
_COUNTED = {
    "rows": ("caudal_trial_rows", "Rows that a version was asked to predict from while one is on trial."),
    "errors": ("caudal_trial_errors", "Of these, rows from which it could not predict."),
    "compared": ("caudal_trial_compared_rows", "Rows that a version in shadow and the one in production have predicted from."),
    "equal": ("caudal_trial_equal_rows", "Of these, rows with the same prediction."),
    "difference": ("caudal_trial_difference", "Sum of the absolute differences between their predictions."),
    "total": ("caudal_trial_prediction", "Sum of the predictions."),
    "dropped": ("caudal_trial_dropped_rows", "Rows that a version in shadow was not given, because too many waited."),
}


class TrialLog:
    """Counts what the versions of trials do.

    Parameters
    ----------
    clock : seconds since 1970, UTC
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._tallies: MinuteTallies = {}
        self._lock = threading.Lock()
        self.totals: dict[TrialKey, TrialTally] = {}

    def count(self, key: TrialKey, predictions: Sequence[object], seconds: float | None = None) -> None:
        """Count rows by their predictions, None for those without one, and the seconds that all of them took."""
        with self._lock:
            tally = self._tally(key)
            for prediction in predictions:
                tally.predicted(prediction)
            if seconds is not None and predictions:
                tally.timed(seconds / len(predictions), len(predictions))

    def count_shadow(self, champion: TrialKey, shadow: TrialKey, prediction: object, other: object) -> None:
        """Count a row that was answered by the champion, with its prediction, and that of the version in shadow."""
        with self._lock:
            self._tally(champion).predicted(prediction)
            tally = self._tally(shadow)
            tally.predicted(other)
            if prediction is not None and other is not None:
                tally.compare(other, prediction)

    def time(self, key: TrialKey, seconds: float) -> None:
        """Count the seconds that a version took for a row."""
        with self._lock:
            self._tally(key).timed(seconds)

    def drop(self, key: TrialKey) -> None:
        """Count a row that is left out."""
        with self._lock:
            self._tally(key).dropped += 1

    def _tally(self, key: TrialKey) -> TrialTally:
        minute = int(self._clock() // _MINUTE_S)
        tally = self._tallies.get((minute, key))
        if tally is None:
            if len(self._tallies) >= _MOST_KEPT:  # in an app without the thread that writes
                self._move_to_totals(next(iter(self._tallies)))
            tally = self._tallies[minute, key] = TrialTally()
        return tally

    def _move_to_totals(self, kept: tuple[int, TrialKey]) -> TrialTally:
        tally = self._tallies.pop(kept)
        self.totals.setdefault(kept[1], TrialTally()).add(tally)
        return tally

    def take(self, end: int | None = None) -> MinuteTallies:
        """Return what was counted in the minutes before ``end``, all where it is None, and count it no more; ``totals`` keep it."""
        with self._lock:
            return {key: self._move_to_totals(key) for key in list(self._tallies) if end is None or key[0] < end}

    def merge(self, tallies: Mapping[tuple[int, TrialKey], TrialTally]) -> None:
        """Add what another process has counted."""
        with self._lock:
            for key, tally in tallies.items():
                self._tallies.setdefault(key, TrialTally()).add(tally)

    def figures(self, end: int) -> list[Measurement]:
        """Return the figures of the minutes before ``end``, and count them no more."""
        return [
            tally_measurement(key, tally, float(minute * _MINUTE_S), float((minute + 1) * _MINUTE_S))
            for (minute, key), tally in sorted(self.take(end).items(), key=lambda each: each[0][0])
        ]

    def since_start(self) -> dict[TrialKey, TrialTally]:
        """Return all that was counted since the server began."""
        with self._lock:
            added = {key: TrialTally.of(tally.as_dict()) for key, tally in self.totals.items()}
            for (_, key), tally in self._tallies.items():
                added.setdefault(key, TrialTally()).add(tally)
        return added


class TrialCounters(Collector):
    """Reads the counts since the server began, at each scrape."""

    def __init__(self, log: TrialLog) -> None:
        self._log = log

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counts of each version and role."""
        counted = _by_labels(self._log.since_start())
        for name, (metric, text) in _COUNTED.items():
            family = CounterMetricFamily(metric, text, labels=_LABELS)
            for labels, tally in counted.items():
                family.add_metric(labels, getattr(tally, name))
            if family.samples:
                yield family


class TrialTotals:
    """The same as `TrialCounters`, as counters that are added to: those of several server processes add up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counters = {name: Counter(metric, text, _LABELS, registry=registry) for name, (metric, text) in _COUNTED.items()}

    def add(self, tallies: Mapping[tuple[int, TrialKey], TrialTally]) -> None:
        """Add what was counted."""
        for (_, key), tally in tallies.items():
            for name, counter in self._counters.items():
                value = getattr(tally, name)
                if value > 0:
                    counter.labels(*_labels(key)).inc(value)


def _by_labels(tallies: Mapping[TrialKey, TrialTally]) -> dict[tuple[str, ...], TrialTally]:
    """Return tallies without regard to decisions: a version in the same role twice is one series."""
    added: dict[tuple[str, ...], TrialTally] = {}
    for key, tally in tallies.items():
        added.setdefault(_labels(key), TrialTally()).add(tally)
    return added


def _labels(key: TrialKey) -> tuple[str, ...]:
    return key.product, key.model, key.role, str(key.version)
