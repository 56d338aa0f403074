"""What a stream's statistics remember between micro-batches: open panes, what has been seen, how far time has come."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from caudal.declarations.statistics import Statistics
from caudal.stages.statistics.finish import windows
from caudal.stages.statistics.merge import merged
from caudal.stages.statistics.partial import Partials, empty, partials
from caudal.stages.statistics.samples import Samples
from caudal.stages.statistics.seen import Seen, seen_of

NEVER = -(1 << 62)
SHOWN = 32  # devices whose open windows are told of


@dataclass(frozen=True)
class Bounds:
    """What a task has to know: which samples have been seen, and up to which pane windows are closed."""

    seen: Seen = field(default_factory=Seen)
    closed: int = NEVER


@dataclass(frozen=True)
class Taken:
    """What a task has made of its samples.

    Parameters
    ----------
    parts : Partials of the samples that are new and in time
    seen : the new samples
    samples, duplicates, late : int, samples that came; those that had come before; those whose window was closed
    newest_us : int, greatest event time of them all
    """

    parts: Partials
    seen: Seen
    samples: int
    duplicates: int
    late: int
    newest_us: int


def taken(samples: Samples, declared: Statistics, bounds: Bounds) -> Taken:
    """Return what samples add up to that have not been seen and are not late."""
    if len(samples) == 0:
        return Taken(empty(declared), Seen(), 0, 0, 0, NEVER)
    came, newest = len(samples), int(samples.at_us.max())
    group = samples.group(declared.pane_us)
    late = samples.at_us // declared.pane_us <= bounds.closed
    lates = int(late.sum())
    new = bounds.seen.new(group, samples.seq, samples.at_us)
    duplicates = int((~new & ~late).sum())  # of a closed window nobody remembers what has come
    if lates or duplicates:
        counted = new & ~late
        samples, group = samples.where(counted), group[counted]
    return Taken(partials(samples, declared), seen_of(group, samples.seq, samples.at_us), came, duplicates, lates, newest)


@dataclass(frozen=True)
class State:
    """The memory of one statistics table.

    Parameters
    ----------
    open : Partials of panes of which a window is not closed yet
    newest_us : int, greatest event time seen
    closed : int, the last pane that ends a closed window
    readings, samples, duplicates, late : int, since the beginning; ``readings`` counts values that are numbers
    """

    open: Partials
    seen: Seen = field(default_factory=Seen)
    newest_us: int = NEVER
    closed: int = NEVER
    readings: int = 0
    samples: int = 0
    duplicates: int = 0
    late: int = 0

    @property
    def bounds(self) -> Bounds:
        """What the tasks of the next micro-batch have to know."""
        return Bounds(self.seen, self.closed)

    @property
    def bytes(self) -> int:
        """Bytes that are remembered."""
        return self.open.bytes + self.seen.bytes


def begin(declared: Statistics) -> State:
    """Return the memory of a stream that has not begun."""
    return State(empty(declared))


def told_twice(found: list[Taken]) -> bool:
    """Tell whether two tasks have taken the same sample: then the micro-batch has to be taken by one task."""
    seen = Seen()
    for one in found:
        if seen.overlaps(one.seen):
            return True
        seen = seen.with_(one.seen)
    return False


def advanced(state: State, found: list[Taken], declared: Statistics) -> tuple[State, Partials, Partials]:
    """Return the state after a micro-batch, the windows that it closes, and the open windows that it has changed.

    Parameters
    ----------
    found : of the tasks of one micro-batch, none of which took a sample that another took
    """
    new = merged([one.parts for one in found], declared.gap_us) if found else empty(declared)
    open_ = merged([state.open, new], declared.gap_us)
    newest = max([state.newest_us, *(one.newest_us for one in found)])
    closed = state.closed
    if newest > NEVER:
        closed = max(closed, (newest - round(declared.late_s * 1e6)) // declared.pane_us - 1)
    seen = state.seen
    for one in found:
        seen = seen.with_(one.seen)
    ended, kept = _closed(open_, state.closed, closed, declared)
    after = State(
        kept, seen.after(closed), newest, closed,
        state.readings + int(new.count.sum()), state.samples + sum(one.samples for one in found),
        state.duplicates + sum(one.duplicates for one in found), state.late + sum(one.late for one in found),
    )  # fmt: skip
    return after, ended, _changed(kept, new, closed, declared)


def ended(state: State, declared: Statistics) -> tuple[State, Partials]:
    """Return the state after the stream's end, and the windows that were still open: nothing more can come."""
    if len(state.open) == 0:
        return state, state.open
    last = int((state.open.newest.max() + declared.gap_us) // declared.pane_us) + declared.panes
    rest, kept = _closed(state.open, state.closed, last, declared)
    return replace(state, open=kept, closed=last), rest


def _closed(open_: Partials, before: int, closed: int, declared: Statistics) -> tuple[Partials, Partials]:
    """Return the windows that end after pane ``before`` and up to pane ``closed``, and the panes that later windows need."""
    if closed <= before or len(open_) == 0:
        return open_.where(np.zeros(len(open_), bool)), open_
    if declared.gap_us:
        over = open_.newest + declared.gap_us < (closed + 1) * declared.pane_us
        return open_.where(over), open_.where(~over)
    due = windows(open_.where(open_.pane <= closed), declared)
    due = due.where((due.pane > before) & (due.pane <= closed))
    return due, open_.where(open_.pane > closed - declared.panes + 1)


def _changed(open_: Partials, new: Partials, closed: int, declared: Statistics) -> Partials:
    """Return the open windows' sums so far, of the first devices that sent something: more nobody can look at."""
    shown = np.isin(open_.device, np.unique(new.device)[:SHOWN])
    if not shown.any():
        return open_.where(shown)
    whole = windows(open_.where(shown), declared)
    if declared.gap_us:
        return whole
    return whole.where((whole.pane > closed) & (whole.pane <= int(new.pane.max())))


def as_dict(state: State) -> dict[str, object]:
    """Return the counts that people look at."""
    return {"readings": state.readings, "samples": state.samples, "duplicates": state.duplicates, "late": state.late}
