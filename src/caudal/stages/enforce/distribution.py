"""``distribution``: a figure of a column stays near its value in earlier versions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from caudal.errors import nearest
from caudal.stages.enforce.declared import Figures, TableExpectation, is_number

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

FIGURES = ("mean", "stddev", "min", "max", "null_share")
_FEWEST_FOR_Z = 3


@dataclass(frozen=True)
class Distribution(TableExpectation):
    """A figure of the published rows stays near its mean over the last versions; the first version passes.

    Parameters
    ----------
    column : str, numbers (for ``null_share`` any)
    figure : ``mean | stddev | min | max | null_share``
    within : float, the greatest difference: as a share of that mean; for ``null_share`` an absolute one (0.05: five percentage points)
    z : float, in place of ``within``: the greatest difference in standard deviations of the earlier versions' figures; every version passes
        until there are three of them
    last : int, how many earlier versions count
    """

    kind: ClassVar[str] = "distribution"
    column: str
    figure: str = "mean"
    within: float | None = None
    z: float | None = None
    last: int = 7

    def __post_init__(self) -> None:
        if self.figure not in FIGURES:
            self.refuse(
                f"distribution({self.column}): there is no figure '{self.figure}'.",
                f"Use one of {', '.join(FIGURES)}.",
                nearest(self.figure, FIGURES),
            )
        if (self.within is None) == (self.z is None):
            self.refuse(f"{self.name} needs one bound.", "Give within=0.2 (share) or z=3 (standard deviations).")
        if (self.within if self.within is not None else self.z or 0) < 0 or self.last < 1:
            self.refuse(f"{self.name}: bounds are not negative and last is at least 1.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    def fits(self, schema: StructType) -> None:
        """Raise DeclarationProblem where the column has no such figure."""
        kind = schema[self.column].dataType
        if self.figure != "null_share" and not is_number(kind):
            self.refuse(f"{self.name}: '{self.column}' is a {kind.simpleString()}, no number.", 'Use figure="null_share".')

    def fault(self, figures: Figures) -> str | None:
        """Return a sentence that says how far the figure is off, or None."""
        current = self._figure(figures.rows, figures.profile)
        figures_by_version = [self._figure(version["rows"], version["columns"]) for version in figures.history[-self.last :]]
        earlier_figures = [figure for figure in figures_by_version if figure is not None]
        if current is None or not earlier_figures:
            return None
        mean = statistics.fmean(earlier_figures)
        if self.z is not None:
            if len(earlier_figures) < _FEWEST_FOR_Z:
                return None
            allowed = self.z * statistics.stdev(earlier_figures)
        else:
            assert self.within is not None
            allowed = self.within * (1.0 if self.figure == "null_share" else abs(mean))
        # Sums taken in another order differ in the last digits.
        if abs(current - mean) <= allowed + 1e-9 * max(abs(mean), abs(current)):
            return None
        return f"{self.figure} is {current:.6g}; {mean:.6g} ± {allowed:.6g} expected after {len(earlier_figures)} earlier version{'s' * (len(earlier_figures) > 1)}"

    def _figure(self, rows: int, profile: Mapping[str, Mapping[str, Any]]) -> float | None:
        column_profile = profile.get(self.column)
        if not column_profile or not rows:
            return None
        value = column_profile.get("nulls", 0) / rows if self.figure == "null_share" else column_profile.get(self.figure)
        return None if value is None else float(value)


def distribution(
    column: str, *, figure: str = "mean", within: float | None = None, z: float | None = None, last: int = 7
) -> Distribution:
    """Return the expectation that a figure stays near that of the last versions (within 20 % unless declared otherwise).

    Examples
    --------
    >>> distribution("fare_usd", within=0.2).name
    'distribution(fare_usd, within=0.2)'
    """
    return Distribution(column, figure, 0.2 if within is None and z is None else within, z, last)
