"""The counts of a statistics table over a stream's whole life, as users are shown them."""

from __future__ import annotations

from dataclasses import dataclass

from caudal.stages.statistics import NEVER, State


@dataclass(frozen=True)
class TableTotals:
    """Counts since the stream's beginning, or what a part of it adds to them.

    Parameters
    ----------
    readings, samples, duplicates, late : int, as in `State`
    windows, state_bytes : int, windows that are open, and the bytes of their state
    newest_us : int, the greatest event time that the table has reached, microseconds
    """

    readings: int = 0
    samples: int = 0
    duplicates: int = 0
    late: int = 0
    windows: int = 0
    state_bytes: int = 0
    newest_us: int = NEVER

    def __add__(self, other: TableTotals) -> TableTotals:
        return TableTotals(
            self.readings + other.readings, self.samples + other.samples, self.duplicates + other.duplicates, self.late + other.late,
            self.windows + other.windows, self.state_bytes + other.state_bytes, max(self.newest_us, other.newest_us),
        )  # fmt: skip


def totals_of(state: State) -> TableTotals:
    """Return the counts of a state."""
    return TableTotals(state.readings, state.samples, state.duplicates, state.late, len(state.open), state.bytes, state.newest_us)


def added(before: State, after: State) -> TableTotals:
    """Return what a micro-batch has added to the counts of a state."""
    earlier, later = totals_of(before), totals_of(after)
    return TableTotals(
        later.readings - earlier.readings, later.samples - earlier.samples, later.duplicates - earlier.duplicates, later.late - earlier.late,
        later.windows - earlier.windows, later.state_bytes - earlier.state_bytes, later.newest_us,
    )  # fmt: skip
