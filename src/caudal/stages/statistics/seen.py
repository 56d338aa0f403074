"""Remember which samples have arrived, and decide which two samples are the same (ADR 0023).

A sample is identified by its device, its session and its number; event time shows the session. Two samples of a device with the same number
are the same sample where their times are equal, and belong to two sessions where they are not: a device that restarts counts from the
beginning, but its clock continues. No state is needed for that, and the order of arrival does not matter, so that a stream, a run and
a join agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from caudal.stages.statistics.numbering import PANE_BITS, SEQ_BITS, Flags, Integers

STRAIGHT_US = 1000
"""How far times of a run may lie from its line; enough for a clock that is read to the millisecond."""
SAME_US = 2 * STRAIGHT_US
"""Times that are no further apart are the same moment: no device restarts and reaches the same number within two milliseconds."""
_ANY_US = 1 << 60


def _none() -> Integers:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Seen:
    """The samples that have arrived, as runs of consecutive numbers whose times lie on a line; in order of group, number and time.

    A run lies within one device and pane, so that runs of closed panes can be forgotten. Samples whose times are irregular
    are runs of length one.

    Parameters
    ----------
    group : int64 [k], of device and pane (`Samples.group`)
    low, high : int64 [k], first and last sample number
    first_us, last_us : int64 [k], event times of these two
    slack_us : int64 [k], the greatest distance of a sample's time from the line between them
    """

    group: Integers = field(default_factory=_none)
    low: Integers = field(default_factory=_none)
    high: Integers = field(default_factory=_none)
    first_us: Integers = field(default_factory=_none)
    last_us: Integers = field(default_factory=_none)
    slack_us: Integers = field(default_factory=_none)

    def __setstate__(self, state: Mapping[str, Integers]) -> None:
        """Restore stored runs; in states stored before runs had times, every number of the pane's runs counts as arrived."""
        unknown = np.zeros(len(state["low"]), np.int64)
        self.__dict__.update({"first_us": unknown, "last_us": unknown, "slack_us": unknown + _ANY_US, **state})

    def new(self, group: Integers, seq: Integers, at_us: Integers) -> Flags:
        """Return which samples are new, neither among the stored ones nor earlier in the arguments: bool [n]."""
        own_groups, other_groups = _common_numbering(self.group, group)
        key, low, high = (other_groups << SEQ_BITS) + seq, (own_groups << SEQ_BITS) + self.low, (own_groups << SEQ_BITS) + self.high
        is_new = np.ones(len(key), bool)
        for runs in _without_overlap(low, high):
            at = np.searchsorted(low[runs], key, side="right") - 1
            within = np.flatnonzero((at >= 0) & (key <= high[runs[np.maximum(at, 0)]]))
            run = runs[at[within]]
            tolerance = SAME_US + np.maximum(self.slack_us[run] - STRAIGHT_US, 0)
            is_new[within[np.abs(at_us[within] - self._line(run, seq[within])) <= tolerance]] = False
        if len(key) > 1 and np.any(key[1:] <= key[:-1]):
            order = np.lexsort((at_us, key))
            keys, moments = key[order], at_us[order]
            is_earliest = np.concatenate(([True], (keys[1:] != keys[:-1]) | (moments[1:] - moments[:-1] > SAME_US)))
            earliest = np.zeros(len(key), bool)
            earliest[np.minimum.reduceat(order, np.flatnonzero(is_earliest))] = True
            is_new &= earliest
        return is_new

    def with_(self, other: Seen) -> Seen:
        """Return the samples of both."""
        if not len(other.low):
            return self
        if not len(self.low):
            return other
        combined = Seen(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in _FIELDS))
        return _join_runs(combined.where(np.lexsort((combined.first_us, combined.low, combined.group))))

    def overlaps(self, other: Seen) -> bool:
        """Return whether both may hold the same sample: they share a number of a group."""
        if not len(self.low) or not len(other.low):
            return False
        own_groups, other_groups = _common_numbering(self.group, other.group)
        reach = np.maximum.accumulate((own_groups << SEQ_BITS) + self.high)
        at = np.searchsorted((own_groups << SEQ_BITS) + self.low, (other_groups << SEQ_BITS) + other.high, side="right") - 1
        return bool(np.any((at >= 0) & ((other_groups << SEQ_BITS) + other.low <= reach[np.maximum(at, 0)])))

    def after(self, pane: int) -> Seen:
        """Return the runs of panes after ``pane``."""
        is_kept = (self.group & ((1 << PANE_BITS) - 1)) > pane
        return self if is_kept.all() else self.where(is_kept)

    def where(self, mask: Integers | Flags) -> Seen:
        """Return the runs that a mask (or positions) selects."""
        return Seen(*(getattr(self, name)[mask] for name in _FIELDS))

    def _line(self, run: Integers, seq: Integers) -> Integers:
        """Return the times of samples on the lines of their runs, int64 microseconds."""
        low, first = self.low[run], self.first_us[run]
        share = (seq - low) / np.maximum(self.high[run] - low, 1)
        due: Integers = first + np.rint(share * (self.last_us[run] - first)).astype(np.int64)
        return due

    @property
    def bytes(self) -> int:
        """Return the bytes in memory."""
        return len(_FIELDS) * self.low.nbytes


_FIELDS = tuple(field.name for field in fields(Seen))


def seen_of(group: Integers, seq: Integers, at_us: Integers) -> Seen:
    """Return the runs of samples."""
    if len(seq) == 0:
        return Seen()
    if np.any((group[1:] < group[:-1]) | ((group[1:] == group[:-1]) & (seq[1:] <= seq[:-1]))):
        order = np.lexsort((at_us, seq, group))
        group, seq, at_us = group[order], seq[order], at_us[order]
    step = np.diff(at_us)
    follows = (group[1:] == group[:-1]) & (seq[1:] == seq[:-1] + 1)
    bends = np.zeros(len(follows), bool)
    bends[1:] = follows[:-1] & (np.abs(step[1:] - step[:-1]) > SAME_US)
    begins = np.concatenate(([True], ~follows | bends))
    runs = _runs(group, seq, at_us, begins)
    crooked = runs.slack_us > STRAIGHT_US
    if crooked.any():
        begins |= crooked[np.cumsum(begins) - 1]
        runs = _runs(group, seq, at_us, begins)
    return runs


def _runs(group: Integers, seq: Integers, at_us: Integers, begins: Flags) -> Seen:
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(seq)) - 1
    none = np.zeros(len(starts), np.int64)
    runs = Seen(group[starts], seq[starts], seq[ends], at_us[starts], at_us[ends], none)
    distance = np.abs(at_us - runs._line(np.cumsum(begins) - 1, seq))
    return Seen(runs.group, runs.low, runs.high, runs.first_us, runs.last_us, np.maximum.reduceat(distance, starts))


def _join_runs(runs: Seen) -> Seen:
    """Return the ordered runs, with adjacent ones joined where their times lie on one line."""
    width = runs.high - runs.low
    step = runs.first_us[1:] - runs.last_us[:-1]
    own_step = np.where(width > 0, (runs.last_us - runs.first_us) / np.maximum(width, 1), np.nan)
    bends = (np.abs(step - own_step[:-1]) > SAME_US) | (
        np.abs(step - own_step[1:]) > SAME_US
    )  # a run of length one has no step, so it cannot bend
    follows = (runs.group[1:] == runs.group[:-1]) & (runs.low[1:] == runs.high[:-1] + 1) & ~bends
    if not follows.any():
        return runs
    begins = np.concatenate(([True], ~follows))
    joined = _chained_runs(runs, begins)
    crooked = joined.slack_us > STRAIGHT_US
    if crooked.any():
        begins |= crooked[np.cumsum(begins) - 1]
        joined = _chained_runs(runs, begins)
    return joined


def _chained_runs(runs: Seen, begins: Flags) -> Seen:
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(begins)) - 1
    none = np.zeros(len(starts), np.int64)
    joined = Seen(runs.group[starts], runs.low[starts], runs.high[ends], runs.first_us[starts], runs.last_us[ends], none)
    chain = np.cumsum(begins) - 1
    # A run's distance from the new line is that of its worse end; its samples' distance from the run's previous line is added.
    distances = [np.abs(at - joined._line(chain, seq)) for at, seq in ((runs.first_us, runs.low), (runs.last_us, runs.high))]
    slack = np.maximum.reduceat(runs.slack_us + np.maximum(*distances), starts)
    return Seen(joined.group, joined.low, joined.high, joined.first_us, joined.last_us, slack)


def _without_overlap(low: Integers, high: Integers) -> Iterator[Integers]:
    """Yield positions of runs whose numbers do not overlap; all at once, except where a device restarted its count within a pane."""
    remaining = np.arange(len(low))
    while len(remaining):
        reach = np.maximum.accumulate(high[remaining])
        is_clear = np.concatenate(([True], low[remaining][1:] > reach[:-1]))
        yield remaining[is_clear]
        remaining = remaining[~is_clear]


def _common_numbering(left: Integers, right: Integers) -> tuple[Integers, Integers]:
    """Return the positions of both sides' groups among all groups in order."""
    groups = np.unique(np.concatenate([left, right]))
    return np.searchsorted(groups, left), np.searchsorted(groups, right)
