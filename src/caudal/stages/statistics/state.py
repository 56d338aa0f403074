"""The memory of a stream's statistics between micro-batches: open panes, seen samples, and how far event time has advanced."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from caudal.declarations.statistics import Statistics
from caudal.stages.statistics.finish import windows
from caudal.stages.statistics.merge import merge_partials
from caudal.stages.statistics.partial import Partials, empty_partials, partials
from caudal.stages.statistics.samples import Samples
from caudal.stages.statistics.seen import Seen, seen_of

NEVER = -(1 << 62)
SHOWN = 32  # devices whose open windows are shown


@dataclass(frozen=True)
class Bounds:
    """The state that a task needs: the samples that have arrived, and the last pane that ends a closed window."""

    seen: Seen = field(default_factory=Seen)
    closed: int = NEVER


@dataclass(frozen=True)
class TakenSamples:
    """The result of a task for its samples.

    Parameters
    ----------
    parts : Partials of the samples that are new and not late
    seen : the new samples
    samples, duplicates, late : int, samples that arrived; those that had arrived before; those whose window was closed
    newest_us : int, greatest event time of all of them
    """

    parts: Partials
    seen: Seen
    samples: int
    duplicates: int
    late: int
    newest_us: int


def take_samples(samples: Samples, declared: Statistics, bounds: Bounds) -> TakenSamples:
    """Return the partials of the samples that have not arrived before and are not late."""
    if len(samples) == 0:
        return TakenSamples(empty_partials(declared), Seen(), 0, 0, 0, NEVER)
    count, newest = len(samples), int(samples.at_us.max())
    group = samples.group(declared.pane_us)
    late = samples.at_us // declared.pane_us <= bounds.closed
    late_count = int(late.sum())
    new = bounds.seen.new(group, samples.seq, samples.at_us)
    duplicates = int((~new & ~late).sum())  # the samples of closed windows are no longer stored
    if late_count or duplicates:
        counted = new & ~late
        samples, group = samples.where(counted), group[counted]
    return TakenSamples(
        partials(samples, declared), seen_of(group, samples.seq, samples.at_us), count, duplicates, late_count, newest
    )


@dataclass(frozen=True)
class State:
    """The memory of one statistics table.

    Parameters
    ----------
    open : Partials of panes with a window that is not closed yet
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
        """Return the state that the tasks of the next micro-batch need."""
        return Bounds(self.seen, self.closed)

    @property
    def bytes(self) -> int:
        """Return the bytes in memory."""
        return self.open.bytes + self.seen.bytes


def new_state(declared: Statistics) -> State:
    """Return the state of a stream that has not begun."""
    return State(empty_partials(declared))


def have_common_samples(results: list[TakenSamples]) -> bool:
    """Return whether two tasks may have processed the same sample: then one task has to process the whole micro-batch."""
    seen = Seen()
    for result in results:
        if seen.overlaps(result.seen):
            return True
        seen = seen.with_(result.seen)
    return False


def bounds_after(state: State, results: list[TakenSamples], declared: Statistics) -> tuple[Bounds, int]:
    """Return the bounds for the micro-batch after the one that had these results, and its greatest event time: what `advance` will find,
    at a fraction of its work, so that the next micro-batch can be computed meanwhile."""
    newest = max([state.newest_us, *(result.newest_us for result in results)])
    closed = state.closed
    if newest > NEVER:
        closed = max(closed, (newest - round(declared.late_s * 1e6)) // declared.pane_us - 1)
    seen = state.seen
    for result in results:
        seen = seen.with_(result.seen)
    return Bounds(seen.after(closed), closed), newest


def advance(state: State, results: list[TakenSamples], declared: Statistics) -> tuple[State, Partials, Partials]:
    """Return the state after a micro-batch, the windows that it closes, and the open windows that it has changed.

    Parameters
    ----------
    results : of the tasks of one micro-batch, which share no sample
    """
    new = merge_partials([result.parts for result in results], declared.gap_us) if results else empty_partials(declared)
    open_ = merge_partials([state.open, new], declared.gap_us)
    bounds, newest = bounds_after(state, results, declared)
    closed = bounds.closed
    closed_windows, open_panes = _split_closed(open_, state.closed, closed, declared)
    next_state = State(
        open_panes, bounds.seen, newest, closed,
        state.readings + int(new.count.sum()), state.samples + sum(result.samples for result in results),
        state.duplicates + sum(result.duplicates for result in results), state.late + sum(result.late for result in results),
    )  # fmt: skip
    return next_state, closed_windows, _changed_windows(open_panes, new, closed, declared)


def end_stream(state: State, declared: Statistics) -> tuple[State, Partials]:
    """Return the state after the stream's end, and the windows that were still open: no more samples can arrive."""
    if len(state.open) == 0:
        return state, state.open
    last = int((state.open.newest.max() + declared.gap_us) // declared.pane_us) + declared.panes
    closed_windows, open_panes = _split_closed(state.open, state.closed, last, declared)
    return replace(state, open=open_panes, closed=last), closed_windows


def _split_closed(open_: Partials, before: int, closed: int, declared: Statistics) -> tuple[Partials, Partials]:
    """Return the windows that end after pane ``before`` and up to pane ``closed``, and the panes that later windows need."""
    if closed <= before or len(open_) == 0:
        return open_.where(np.zeros(len(open_), bool)), open_
    if declared.gap_us:
        is_over = open_.newest + declared.gap_us < (closed + 1) * declared.pane_us
        return open_.where(is_over), open_.where(~is_over)
    closed_windows = windows(open_.where(open_.pane <= closed), declared)
    closed_windows = closed_windows.where((closed_windows.pane > before) & (closed_windows.pane <= closed))
    return closed_windows, open_.where(open_.pane > closed - declared.panes + 1)


def _changed_windows(open_: Partials, new: Partials, closed: int, declared: Statistics) -> Partials:
    """Return the open windows' sums so far, only of the first devices that sent samples: more would not fit on a page."""
    is_shown = np.isin(open_.device, np.unique(new.device)[:SHOWN])
    if not is_shown.any():
        return open_.where(is_shown)
    open_windows = windows(open_.where(is_shown), declared)
    if declared.gap_us:
        return open_windows
    return open_windows.where((open_windows.pane > closed) & (open_windows.pane <= int(new.pane.max())))


def as_dict(state: State) -> dict[str, object]:
    """Return the counts that are shown to users."""
    return {"readings": state.readings, "samples": state.samples, "duplicates": state.duplicates, "late": state.late}
