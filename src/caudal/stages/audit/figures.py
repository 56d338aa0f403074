"""The figures of an audit: of each group, beside a reference group, and between groups, each with its interval."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from caudal.errors import DeclarationProblem, nearest
from caudal.stages.audit.counts import GroupCounts
from caudal.stages.audit.metrics_of import group_metric, group_metrics_of
from caudal.stages.audit.resample import RESAMPLES, resampled
from caudal.stages.audit.tally import Comparison, GroupMetric, Tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caudal.stages.audit.tally import Metric, Numbers

Reference = Literal["largest", "best"] | Mapping[str, str]
LEVEL = 95
"""The share of resamples that an interval holds, in per cent."""


@dataclass(frozen=True)
class AuditFigure:
    """A number with its interval; None where it has no value, such as a recall without a positive label."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class GroupFigures:
    """The figures of one group, and their differences from the reference group's and ratios to them.

    ``small`` groups have fewer than ``min_rows`` rows: they are not compared with others. ``references`` names the metrics for which this group is
    the reference.
    """

    group: tuple[str, ...]
    rows: int
    small: bool
    references: tuple[str, ...]
    figures: Mapping[str, AuditFigure]
    differences: Mapping[str, AuditFigure]
    ratios: Mapping[str, AuditFigure]

    def differs(self, metric: str) -> bool:
        """Return whether the interval of the difference from the reference group leaves out zero."""
        difference = self.differences.get(metric)
        if self.small or difference is None or difference.low is None or difference.high is None:
            return False
        return difference.low > 0 or difference.high < 0


@dataclass(frozen=True)
class GroupComparison:
    """The greatest difference, or smallest ratio, between groups (or beside the reference), and the groups with the least and the greatest figure."""

    figure: AuditFigure
    lowest: tuple[str, ...] | None
    highest: tuple[str, ...] | None
    part: str | None


@dataclass(frozen=True)
class Grouping:
    """The figures of all groups by some columns."""

    by: tuple[str, ...]
    groups: tuple[GroupFigures, ...]
    between: Mapping[str, GroupComparison]


def figures_by(
    counts: GroupCounts,
    columns: Sequence[str],
    metrics: Sequence[Metric],
    *,
    reference: Reference = "largest",
    min_rows: int = 100,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Grouping:
    """Return the figures of the groups by some columns; without a column, those of all rows.

    Parameters
    ----------
    metrics : figures of groups are given for each group, and with those that they are made of those between groups
    reference : the group that others stand beside: the one with the most rows, for each metric the one with the best figure, or the one with the
        given values; a column that is not given takes its value from the largest group
    min_rows : groups with fewer rows are not compared
    """
    joined = counts.joined(columns)
    tally, drawn = joined.tally(), resampled(joined, seed, resamples)
    large = joined.rows >= min_rows
    compared = [metric for metric in metrics if isinstance(metric, Comparison)]
    shown = [metric for metric in metrics if isinstance(metric, GroupMetric)]
    of_groups = {
        metric.name: _Values.of(metric, tally, drawn)
        for metric in (*shown, *(part for each in compared for part in group_metrics_of(each)))
    }
    places = {
        name: reference_place(joined, group_metric(name), values.value, reference, large) for name, values in of_groups.items()
    }
    groups = tuple(
        _group(joined, place, {metric.name: of_groups[metric.name] for metric in shown}, places, large)
        for place in range(len(joined.groups))
    )
    declared = isinstance(reference, Mapping) and any(column in reference for column in columns)
    between = {each.name: _between(joined, each, of_groups, places if declared else {}, large) for each in compared}
    return Grouping(tuple(columns), groups, between)


def reference_place(
    counts: GroupCounts, metric: GroupMetric, values: Numbers, reference: Reference, large: NDArray[np.bool_]
) -> int | None:
    """Return the place of the reference group among the groups; None where no group is large enough, or the given one is not."""
    candidates = np.flatnonzero(large)
    if not len(candidates):
        return None
    if isinstance(reference, Mapping) and any(column in reference for column in counts.by):
        largest = counts.groups[int(np.argmax(counts.rows))]
        wanted = tuple(reference.get(column, value) for column, value in zip(counts.by, largest, strict=True))
        place = counts.groups.index(wanted) if wanted in counts.groups else None
        return place if place is not None and large[place] else None
    if reference == "best" and metric.better is not None and np.isfinite(values[candidates]).any():
        best = np.nanargmax if metric.better == "higher" else np.nanargmin
        return int(candidates[int(best(values[candidates]))])
    return int(candidates[int(np.argmax(counts.rows[candidates]))])


def require_reference(reference: Reference, column: str, groups: Collection[str], subject: str, where: str) -> None:
    """Raise DeclarationProblem where a reference names a group that the column does not have."""
    if not isinstance(reference, Mapping) or column not in reference or reference[column] in groups:
        return
    raise DeclarationProblem(
        f"{subject} takes the group '{reference[column]}' of '{column}' as reference, which no row is of.",
        nearest=nearest(reference[column], groups), fix=f"The groups are: {', '.join(sorted(groups)[:20])}.", where=where, column=column,
    )  # fmt: skip


@dataclass(frozen=True)
class _Values:
    """A metric of each group, [group], and of each resample, [resample, group]."""

    value: Numbers
    drawn: Numbers

    @classmethod
    def of(cls, metric: GroupMetric, tally: Tally, drawn: Tally) -> _Values:
        return cls(metric.of(tally), metric.of(drawn))


def _group(
    counts: GroupCounts,
    place: int,
    values: Mapping[str, _Values],
    references: Mapping[str, int | None],
    large: NDArray[np.bool_],
) -> GroupFigures:
    figures = {name: _figure(each.value[place], each.drawn[:, place]) for name, each in values.items()}
    differences, ratios = {}, {}
    for name, each in values.items():
        beside = references[name]
        if beside is None or beside == place or not large[place]:
            continue
        differences[name] = _figure(each.value[place] - each.value[beside], each.drawn[:, place] - each.drawn[:, beside])
        ratios[name] = _figure(
            _quotient(each.value[place], each.value[beside]), _quotient(each.drawn[:, place], each.drawn[:, beside])
        )
    is_reference = tuple(name for name in values if references[name] == place and len(counts.groups) > 1)
    return GroupFigures(
        counts.groups[place], int(counts.rows[place]), not bool(large[place]), is_reference, figures, differences, ratios
    )


def _between(
    counts: GroupCounts,
    comparison: Comparison,
    values: Mapping[str, _Values],
    references: Mapping[str, int | None],
    large: NDArray[np.bool_],
) -> GroupComparison:
    """Return the worst of the comparison's parts; NaN parts count for nothing."""
    found: list[tuple[str, Numbers, Numbers]] = []
    for part in comparison.parts:
        each, place = values[part], references.get(part)
        if part in references and place is None:
            return GroupComparison(AuditFigure(None), None, None, None)
        found.append((
            part, _spread(each.value[None, large], comparison.way, each.value[None, [place]] if place is not None else None),
            _spread(each.drawn[:, large], comparison.way, each.drawn[:, [place]] if place is not None else None),
        ))  # fmt: skip
    observed = np.array([value[0] for _, value, _ in found])
    if not np.isfinite(observed).any():
        return GroupComparison(AuditFigure(None), None, None, None)
    worst = int(np.nanargmax(observed) if comparison.way == "difference" else np.nanargmin(observed))
    drawn = np.stack([resample for _, _, resample in found])
    reduced = _reduce(drawn, comparison.way)
    part = found[worst][0]
    of_large = np.where(large, values[part].value, np.nan)
    lowest, highest = int(np.nanargmin(of_large)), int(np.nanargmax(of_large))
    return GroupComparison(_figure(observed[worst], reduced), counts.groups[lowest], counts.groups[highest], part)


def _spread(values: Numbers, way: str, beside: Numbers | None) -> Numbers:
    """Return the greatest difference or smallest ratio of [resample, group], of any two groups or of each group and the one ``beside``."""
    known = np.isfinite(values)
    enough = known.sum(axis=1) > 1
    if beside is None:
        least = np.where(known, values, np.inf).min(axis=1, initial=np.inf)
        greatest = np.where(known, values, -np.inf).max(axis=1, initial=-np.inf)
        spread = _quotient(least, greatest) if way == "ratio" else greatest - least
    elif way == "difference":
        spread = np.where(known, np.abs(values - beside), 0.0).max(axis=1, initial=0.0)
    else:
        ratio = _quotient(np.minimum(values, beside), np.maximum(values, beside))
        spread = np.where(np.isfinite(ratio), ratio, np.inf).min(axis=1, initial=np.inf)
    return np.where(enough & np.isfinite(spread), spread, np.nan)


def _reduce(parts: Numbers, way: str) -> Numbers:
    """Return of several parts [part, resample] the worst, NaN where none has a value."""
    known = np.isfinite(parts)
    worst = np.where(known, parts, -np.inf).max(axis=0) if way == "difference" else np.where(known, parts, np.inf).min(axis=0)
    return np.where(known.any(axis=0), worst, np.nan)


def _quotient(part: Numbers, whole: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: Numbers = np.where(whole != 0, np.asarray(part) / np.asarray(whole), np.nan)
    return quotient


def _figure(value: Numbers | float, drawn: Numbers) -> AuditFigure:
    """Return a figure with the percentile interval of its resamples, those without a value left out."""
    number = float(value)
    if not np.isfinite(number):
        return AuditFigure(None)
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return AuditFigure(number)
    rest = (100 - LEVEL) / 2
    low, high = np.percentile(known, [rest, 100 - rest])
    return AuditFigure(number, float(low), float(high))
