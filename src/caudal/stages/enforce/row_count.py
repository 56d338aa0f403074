"""``row_count``: the number of published rows lies between bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from caudal.stages.enforce.declared import Figures, TableExpectation


@dataclass(frozen=True)
class RowCount(TableExpectation):
    """The run publishes between ``low`` and ``high`` rows, not counting quarantined ones. An incremental run counts the rows that it writes.

    Parameters
    ----------
    low, high : int, bounds included; None leaves that side open
    """

    kind: ClassVar[str] = "row_count"
    low: int | None
    high: int | None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            self.refuse("row_count() has no bound.", "Give low=, high= or both.")
        if self.low is not None and self.high is not None and self.low > self.high:
            self.refuse(f"{self.name}: {self.low} is above {self.high}.", f"Write row_count({self.high}, {self.low}).")

    @property
    def name(self) -> str:
        """Return the name, for example ``row_count(1, …)``."""
        return f"{self.kind}({', '.join('…' if bound is None else str(bound) for bound in (self.low, self.high))})"

    def fault(self, figures: Figures) -> str | None:
        """Return a sentence that says what is wrong with the number of rows, or None."""
        if self.low is not None and figures.rows < self.low:
            return f"{figures.rows} rows, at least {self.low} expected"
        if self.high is not None and figures.rows > self.high:
            return f"{figures.rows} rows, at most {self.high} expected"
        return None


def row_count(low: int | None = None, high: int | None = None) -> RowCount:
    """Return the expectation that from ``low`` to ``high`` rows are published.

    Examples
    --------
    >>> row_count(1, 10).fault(Figures(rows=0, profile={}))
    '0 rows, at least 1 expected'
    """
    return RowCount(low, high)
