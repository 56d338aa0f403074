"""``freshness``: the newest row is new enough."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from caudal.declarations.duration import seconds, text
from caudal.stages.enforce.declared import Figures, TableExpectation, is_time

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Freshness(TableExpectation):
    """The newest time in the column is at most ``within`` ago. A table without any time is not fresh.

    Local wall times are read in the product's time zone; a date counts until the end of its day.

    Parameters
    ----------
    column : str, a time or date
    within : str, such as ``"2 hours"``
    """

    kind: ClassVar[str] = "freshness"
    column: str
    within: str

    def __post_init__(self) -> None:
        seconds(self.within)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    def fits(self, schema: StructType) -> None:
        """Raise DeclarationProblem where the column holds no times."""
        kind = schema[self.column].dataType
        if not is_time(kind):
            self.refuse(f"{self.name}: '{self.column}' is a {kind.simpleString()}, no time.", "Name a column of times or dates.")

    def fault(self, figures: Figures) -> str | None:
        """Return a sentence that says how old the newest row is where it is too old, or None."""
        newest = figures.profile.get(self.column, {}).get("max")
        if newest is None:
            return f"no row has a time in '{self.column}'"
        moment = dt.datetime.fromisoformat(str(newest))
        if len(str(newest)) == 10:
            moment += min(dt.timedelta(days=1), dt.datetime.max - moment)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(figures.tz))
        age_s = figures.now - moment.timestamp()
        if age_s <= seconds(self.within):
            return None
        return f"the newest '{self.column}' is {newest}, {_age_text(age_s)} ago; at most {text(seconds(self.within))} expected"


def freshness(column: str, within: str) -> Freshness:
    """Return the expectation that the newest time is at most ``within`` ago.

    Examples
    --------
    >>> newest = {"at": {"max": "1970-01-01T00:00:00"}}
    >>> freshness("at", "2 hours").fault(Figures(rows=1, profile=newest, now=10800))
    "the newest 'at' is 1970-01-01T00:00:00, 3 hours ago; at most 2 hours expected"
    """
    return Freshness(column, within)


def _age_text(length_s: float) -> str:
    for size in (86400, 3600, 60):
        if length_s >= 2 * size:
            return text(length_s // size * size)
    return text(round(length_s))
