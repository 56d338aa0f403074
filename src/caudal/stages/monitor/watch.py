"""The figures of a monitor's windows, each judged by its own history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from caudal import kinds
from caudal.declarations.signature import PREDICTION
from caudal.stages.monitor.bins import Bins, CategoryBins, Histogram, sum_of
from caudal.stages.monitor.count import WindowCounts
from caudal.stages.monitor.judge import Figure, Rule, Verdict, judge_windows
from caudal.stages.monitor.measure import Measure

ALWAYS = ("null_share", "new_share")
ROWS = "rows"
LEAST_REFERENCE = 3  # windows of a sliding reference


@dataclass(frozen=True)
class Regime:
    """Windows that are compared with the same reference.

    Parameters
    ----------
    version : the model version whose training rows are the reference; None for a sliding one
    reference : starts of the reference's windows
    watched : starts of the windows that are judged, in order
    sliding_s : length of a sliding reference; None: ``reference`` is fixed
    """

    version: int | None
    reference: tuple[int, ...]
    watched: tuple[int, ...]
    sliding_s: int | None = None

    @property
    def versions(self) -> tuple[int | None, ...]:
        """The version, for each watched window."""
        return (self.version,) * len(self.watched)


@dataclass(frozen=True)
class Series:
    """A figure over windows.

    Parameters
    ----------
    column : the column that it is of; None for a figure of the whole table
    versions : the model version of each window's reference
    group : the rows that it is of; empty for all
    """

    metric: str
    column: str | None
    rule: Rule
    history: tuple[Figure, ...]
    starts: tuple[int, ...]
    figures: tuple[Figure, ...]
    verdicts: tuple[Verdict, ...] = ()
    versions: tuple[int | None, ...] = ()
    group: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """Its name in a sentence."""
        of = f" of {self.column}" if self.column else ""
        within = f" where {' and '.join(f'{column} = {value}' for column, value in self.group)}" if self.group else ""
        return f"{self.metric.replace('_', ' ')}{of}{within}"


def drift_series(
    bins: Mapping[str, Bins], windows: Mapping[int, WindowCounts], regime: Regime, measures: Sequence[str],
    thresholds: Mapping[str, float | Mapping[str, float]], patience: int,
) -> Iterator[Series]:  # fmt: skip
    """Yield the figures of each column, and the number of rows, not judged yet."""
    for column, column_bins in bins.items():
        histograms = {start: counts.columns[column] for start, counts in windows.items() if column in counts.columns}
        before, pairs = _pairs(histograms, regime)
        for name in (*measures, *ALWAYS):
            measure = kinds.MEASURES[name]
            if measure.of != "both" and (measure.of == "categories") != isinstance(column_bins, CategoryBins):
                continue
            history = [_figure(measure, column_bins, reference, part) for reference, part in before]
            if isinstance(column_bins, CategoryBins) and name == "new_share":  # none of the reference's own categories is new to it
                history = [Figure(column_bins.unseen, figure.rows) for figure in history]
            figures = tuple(_figure(measure, column_bins, reference, window) for reference, window in pairs)
            rule = Rule(measure.scale, measure.side, patience, fixed=_fixed(thresholds, column, name))
            yield Series(name, column, rule, tuple(history), regime.watched, figures, versions=regime.versions)
    rows = {start: Figure(float(counts.rows), counts.rows) for start, counts in windows.items()}
    yield Series(
        ROWS, None, Rule("count", "both", patience), tuple(rows[start] for start in regime.reference if start in rows),
        regime.watched, tuple(rows[start] for start in regime.watched), versions=regime.versions,
    )  # fmt: skip


def prediction_series(
    bins: Bins, reference: Histogram, windows: Mapping[int, WindowCounts], regime: Regime, measures: Sequence[str],
    thresholds: Mapping[str, float | Mapping[str, float]], patience: int,
) -> Iterator[Series]:  # fmt: skip
    """Yield the figures of the predictions, not judged yet.

    They are compared with the predictions for the rows that the model learned from. What a model predicts for those is not quite what it predicts for others, so
    that the threshold is learned from windows after the training.
    """
    for name in measures:
        measure = kinds.MEASURES[name]
        if measure.of != "both" and (measure.of == "categories") != isinstance(bins, CategoryBins):
            continue
        histograms = [windows[start].columns.get(PREDICTION) if start in windows else None for start in regime.watched]
        figures = tuple(_figure(measure, bins, reference, histogram) for histogram in histograms)
        rule = Rule(measure.scale, measure.side, patience, fixed=_fixed(thresholds, PREDICTION, name))
        yield Series(name, PREDICTION, rule, (), regime.watched, figures, versions=regime.versions)


def joined(series: Iterable[Series]) -> list[Series]:
    """Return each figure as one series over all regimes, in order of time, with the history of the first.

    A model that is trained again often would otherwise never have enough windows for a judgement: what is judged is the series that production has seen.
    """
    together: dict[object, Series] = {}
    for entry in series:
        key = (entry.metric, entry.column, entry.group)
        before = together.get(key)
        together[key] = entry if before is None else replace(
            before, history=before.history if before.starts else entry.history, starts=(*before.starts, *entry.starts),
            figures=(*before.figures, *entry.figures), versions=(*before.versions, *entry.versions),
        )  # fmt: skip
    return list(together.values())


def judged(series: Iterable[Series], false_alarms: float) -> list[Series]:
    """Return the series with the state of each window; the probability of a false alarm is shared out among those with a learned threshold."""
    listed = list(series)
    learned = sum(entry.rule.fixed is None for entry in listed)
    alpha = false_alarms / max(learned, 1)
    return [
        replace(entry, verdicts=tuple(judge_windows(entry.history, entry.figures, replace(entry.rule, alpha=alpha))))
        for entry in listed
    ]


def _fixed(thresholds: Mapping[str, float | Mapping[str, float]], column: str, measure: str) -> float | None:
    of_column = thresholds.get(column)
    if isinstance(of_column, Mapping) and measure in of_column:
        return float(of_column[measure])
    fixed = thresholds.get(measure)
    return None if fixed is None or isinstance(fixed, Mapping) else float(fixed)


Pair = tuple[Histogram | None, Histogram | None]
"""A reference and a window; None where there is none to compare."""


def _pairs(histograms: Mapping[int, Histogram], regime: Regime) -> tuple[list[Pair], list[Pair]]:
    """Return the reference's windows, each with the others, and the watched windows with their reference."""
    if regime.sliding_s is not None:
        before = _before(histograms, regime.watched, regime.sliding_s)
        return [], [(reference, histograms.get(start)) for reference, start in zip(before, regime.watched, strict=True)]
    parts = [histograms[start] for start in regime.reference if start in histograms]
    if not parts:
        return [], [(None, histograms.get(start)) for start in regime.watched]
    total = sum_of(parts)
    history: list[Pair] = [] if len(parts) == 1 else [(total - part, part) for part in parts]
    return history, [(total, histograms.get(start)) for start in regime.watched]


def _before(histograms: Mapping[int, Histogram], watched: Sequence[int], length_s: int) -> list[Histogram | None]:
    """Return the sum of the windows before each window, by running sums; None where too few of them have rows."""

    starts = np.array(sorted(start for start, histogram in histograms.items() if histogram.rows), np.int64)
    if not starts.size:
        return [None] * len(watched)
    rows = np.array([(*histograms[start].counts, histograms[start].nulls) for start in starts.tolist()], np.int64)
    sums = np.vstack([np.zeros((1, rows.shape[1]), np.int64), rows.cumsum(axis=0)])
    firsts, ends = np.searchsorted(starts, np.array(watched) - length_s), np.searchsorted(starts, watched)
    found: list[Histogram | None] = []
    for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
        *counts, nulls = (sums[end] - sums[first]).tolist()
        found.append(Histogram(tuple(counts), nulls) if end - first >= LEAST_REFERENCE else None)
    return found


def _figure(measure: Measure, bins: Bins, reference: Histogram | None, window: Histogram | None) -> Figure:
    if window is None or reference is None or not window.rows:
        return Figure(None, 0)
    if measure.name != "null_share" and (not window.valued or not reference.valued):
        return Figure(None, window.rows)
    return Figure(measure.compare(bins, reference, window), window.rows)
