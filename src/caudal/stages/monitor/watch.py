"""The figures of a monitor's windows, each judged by its own history."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from caudal import kinds
from caudal.declarations.signature import PREDICTION
from caudal.stages.monitor.bins import Bins, CategoryBins, Histogram, bins_of, histogram, sum_of
from caudal.stages.monitor.column_counts import CategoryCounts, ColumnCounts, NumberCounts, together
from caudal.stages.monitor.count import WindowCounts
from caudal.stages.monitor.judge import Figure, Rule, Verdict, judge_windows
from caudal.stages.monitor.measure import Measure
from caudal.stages.monitor.windows import DAY_S

ALWAYS = ("null_share", "new_share")
ROWS = "rows"
SHARE = "commonest_share"
LEAST_SHARE = 0.05
RARELY = 0.1  # part of the probability of a false alarm that a figure has which never changed before
LEAST_REFERENCE = 3  # windows of a sliding reference
FEW = 0.1  # of the rows that windows usually have; with fewer, a distance says only that there are few
LONG_GAP = 30  # windows, and days, without a row; they say nothing of how many rows a window has


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
    beginnings : starts of the windows at which judging begins anew, since next to nothing came before
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
    beginnings: frozenset[int] = frozenset()

    @property
    def label(self) -> str:
        """Its name in a sentence."""
        of = f" of {self.column}" if self.column else ""
        within = f" where {' and '.join(f'{column} = {value}' for column, value in self.group)}" if self.group else ""
        return f"{self.metric.replace('_', ' ')}{of}{within}"


def drift_series(
    columns: Iterable[str], windows: Mapping[int, WindowCounts], regime: Regime, measures: Sequence[str],
    thresholds: Mapping[str, float | Mapping[str, float]], patience: int,
) -> Iterator[Series]:  # fmt: skip
    """Yield the figures of each column, and the number of rows, not judged yet."""
    rows = {start: Figure(float(counts.rows), counts.rows) for start, counts in windows.items()}
    usual = usual_rows([rows[start].rows for start in regime.reference if start in rows])
    beginnings = frozenset[int]()
    if regime.sliding_s is not None:
        beginnings = frozenset(beginnings_of({start: row.rows for start, row in rows.items()}, regime.watched, regime.sliding_s))
    for column in columns:
        counts = {start: window.columns[column] for start, window in windows.items() if column in window.columns}
        history, pairs = _sliding(counts, regime) if regime.sliding_s is not None else _fixed_reference(counts, regime, usual)
        of_types = {
            type(part) for part in counts.values()
        }  # not of the pairs: which figures there are must not depend on which windows are looked at
        for name in (*measures, *ALWAYS):
            measure = kinds.MEASURES[name]
            if measure.of != "both" and (CategoryCounts if measure.of == "categories" else NumberCounts) not in of_types:
                continue
            past = [_figure(measure, pair) for pair in history]
            if name == "new_share":  # none of the reference's own categories is new to it
                past = [
                    Figure(pair.bins.unseen, figure.rows)
                    for pair, figure in zip(history, past, strict=True)
                    if pair is not None and isinstance(pair.bins, CategoryBins)
                ]
            rule = Rule(measure.scale, measure.side, patience, fixed=_declared(thresholds, column, name))
            figures = tuple(_figure(measure, pair) for pair in pairs)
            yield Series(name, column, rule, tuple(past), regime.watched, figures, versions=regime.versions, beginnings=beginnings)
        if CategoryCounts in of_types:
            shares, known = tuple(map(_share_of_commonest, pairs)), tuple(map(_share_of_commonest, history))
            if _is_mostly_nought(known):  # what comes once in a while has no usual share
                shares = (Figure(None, 0),) * len(shares)
            rule = Rule("share", "both", patience)
            yield Series(SHARE, column, rule, known, regime.watched, shares, versions=regime.versions, beginnings=beginnings)
    yield Series(
        ROWS, None, Rule("count", "both", patience), tuple(rows[start] for start in _in_use(rows, regime.reference, usual)),
        regime.watched, tuple(rows[start] for start in regime.watched), versions=regime.versions, beginnings=beginnings,
    )  # fmt: skip


def _share_of_commonest(pair: Pair | None) -> Figure:
    """Return the window's share of the reference's commonest category; without a value where that is rare, too."""
    if pair is None or pair.few or not isinstance(pair.bins, CategoryBins) or not pair.window.valued:
        return Figure(None, 0)
    is_rare = pair.reference.counts[0] < LEAST_SHARE * pair.reference.valued
    return Figure(None if is_rare else pair.window.counts[0] / pair.window.valued, pair.window.rows)


def _is_mostly_nought(history: Sequence[Figure]) -> bool:
    return sum(not figure.value for figure in history) > len(history) / 2


def prediction_series(
    reference: ColumnCounts, windows: Mapping[int, WindowCounts], regime: Regime, measures: Sequence[str],
    thresholds: Mapping[str, float | Mapping[str, float]], patience: int,
) -> Iterator[Series]:  # fmt: skip
    """Yield the figures of the predictions, not judged yet.

    They are compared with the predictions for the rows that the model learned from. What a model predicts for those is not quite what it predicts for others, so
    that the threshold is learned from windows after the training.
    """
    bins = bins_of(reference)
    if bins is None:
        return
    known = histogram(bins, reference)
    for name in measures:
        measure = kinds.MEASURES[name]
        if measure.of != "both" and (measure.of == "categories") != isinstance(bins, CategoryBins):
            continue
        counts = [windows[start].columns.get(PREDICTION) if start in windows else None for start in regime.watched]
        usual = usual_rows([windows[start].rows for start in regime.reference if start in windows])
        figures = tuple(_figure(measure, _pair(bins, known, window, usual)) for window in counts)
        rule = Rule(measure.scale, measure.side, patience, fixed=_declared(thresholds, PREDICTION, name))
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
            beginnings=before.beginnings | entry.beginnings,
        )  # fmt: skip
    return list(together.values())


def judged(series: Iterable[Series], false_alarms: float) -> list[Series]:
    """Return the series with the state of each window.

    The probability of a false alarm is shared out among those with a learned threshold. A figure that never changed before, such as a share of nulls that was
    always 0, has a smaller part: where it changes, the evidence is overwhelming anyway.
    """
    listed = list(series)
    weights = [0.0 if entry.rule.fixed is not None else RARELY if _is_constant(entry.history) else 1.0 for entry in listed]
    total = sum(weights) or 1.0
    rules = [
        replace(entry.rule, alpha=false_alarms * weight / total) if weight else entry.rule
        for entry, weight in zip(listed, weights, strict=True)
    ]
    return [replace(entry, rule=rule, verdicts=tuple(_verdicts(entry, rule))) for entry, rule in zip(listed, rules, strict=True)]


def _is_constant(history: Sequence[Figure]) -> bool:
    return len(history) > 1 and len({figure.value for figure in history}) == 1


def _verdicts(entry: Series, rule: Rule) -> Iterator[Verdict]:
    """Yield the state of each window; at a beginning, what was learned before is forgotten."""
    cuts = [place for place, start in enumerate(entry.starts) if place and start in entry.beginnings]
    for first, end in pairwise([0, *cuts, len(entry.starts)]):
        yield from judge_windows(() if first else entry.history, entry.figures[first:end], rule)


def _declared(thresholds: Mapping[str, float | Mapping[str, float]], column: str, measure: str) -> float | None:
    of_column = thresholds.get(column)
    if isinstance(of_column, Mapping) and measure in of_column:
        return float(of_column[measure])
    fixed = thresholds.get(measure)
    return None if fixed is None or isinstance(fixed, Mapping) else float(fixed)


@dataclass(frozen=True)
class Pair:
    """A reference and a window over the same bins; ``few`` says that the window has far fewer rows than the reference's usually have."""

    bins: Bins
    reference: Histogram
    window: Histogram
    few: bool = False


def usual_rows(rows: Sequence[int]) -> int:
    """Return how many rows windows have: those of the window in which the middle row lies, so that windows of stray rows do not count.

    Examples
    --------
    >>> usual_rows([1, 2, 1, 1000, 1200, 0, 1, 1100]), usual_rows([])
    (1100, 0)
    """
    ordered = sorted(rows)
    sums = list(accumulate(ordered))
    return ordered[bisect_left(sums, sums[-1] / 2)] if sums else 0


def beginnings_of(rows: Mapping[int, float], watched: Sequence[int], sliding_s: int) -> Iterator[int]:
    """Yield the windows before which a sliding reference has too few with rows.

    Examples
    --------
    >>> list(beginnings_of({60: 5, 120: 5, 180: 5, 240: 5, 900: 5}, (60, 240, 900), 600))
    [60, 900]
    """
    starts = [start for start in sorted(rows) if rows[start]]
    for start in watched:
        if bisect_left(starts, start) - bisect_left(starts, start - sliding_s) < LEAST_REFERENCE:
            yield start


def _in_use(rows: Mapping[int, Figure], reference: Sequence[int], usual: int) -> list[int]:
    """Return the windows of a fixed reference from the first usual one to the last, without long gaps in which next to nothing came."""
    known = [start for start in reference if start in rows]
    full = [place for place, start in enumerate(known) if rows[start].rows >= FEW * usual]
    kept = list[int]()
    for first, second in pairwise(full):
        gap = second - first - 1
        is_long = gap >= LONG_GAP and known[second] - known[first] > LONG_GAP * DAY_S
        kept += [known[first]] if is_long else known[first:second]
    return [*kept, *(known[place] for place in full[-1:])]


def _pair(bins: Bins, reference: Histogram | None, window: ColumnCounts | None, usual: int) -> Pair | None:
    binned = histogram(bins, window)
    return None if reference is None or binned is None else Pair(bins, reference, binned, binned.rows < FEW * usual)


def _fixed_reference(counts: Mapping[int, ColumnCounts], regime: Regime, usual: int) -> tuple[list[Pair | None], list[Pair | None]]:
    """Return the reference's windows, each with the others, and the watched windows with their reference."""
    parts = [counts[start] for start in regime.reference if start in counts]
    whole = together(parts)
    bins = None if whole is None else bins_of(whole)
    if bins is None:
        return [], [None] * len(regime.watched)
    histograms = [part for part in (histogram(bins, part) for part in parts) if part is not None]
    total = sum_of(histograms)
    history: list[Pair | None] = []
    if len(histograms) > 1:
        history = [Pair(bins, total - part, part, part.rows < FEW * usual) for part in histograms]
    return history, [_pair(bins, total, counts.get(start), usual) for start in regime.watched]


def _sliding(counts: Mapping[int, ColumnCounts], regime: Regime) -> tuple[list[Pair | None], list[Pair | None]]:
    """Return the watched windows, each with those before it; None where too few of them have rows."""
    assert regime.sliding_s is not None
    starts = [start for start in sorted(counts) if counts[start].rows]
    pairs: list[Pair | None] = []
    for watched in regime.watched:
        window = counts.get(watched)
        first, end = bisect_left(starts, watched - regime.sliding_s), bisect_left(starts, watched)
        if window is None or end - first < LEAST_REFERENCE:
            pairs.append(None)
            continue
        before = [counts[start] for start in starts[first:end]]
        whole = together(before)
        bins = None if whole is None else bins_of(whole)
        usual = usual_rows([part.rows for part in before])
        pairs.append(None if bins is None else _pair(bins, histogram(bins, whole), window, usual))
    return [], pairs


def _figure(measure: Measure, pair: Pair | None) -> Figure:
    if pair is None or not pair.window.rows or (pair.few and measure.name not in ALWAYS):
        return Figure(None, 0)
    rows = pair.window.rows
    is_other = measure.of != "both" and (measure.of == "categories") != isinstance(pair.bins, CategoryBins)
    if is_other or (measure.name != "null_share" and (not pair.window.valued or not pair.reference.valued)):
        return Figure(None, rows)
    return Figure(measure.compare(pair.bins, pair.reference, pair.window), rows)
