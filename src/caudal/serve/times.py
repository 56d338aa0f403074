"""Times that callers give: ISO 8601 with an offset or without one, in microseconds since 1970."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from caudal.declarations.online import micros_of, moment_of

_DAY = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
PATTERN = f"^(19[7-9][0-9]|2[01][0-9][0-9])-{_DAY}[T ]{_CLOCK}(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])?$"
_FORM = re.compile(PATTERN)


def utc(seconds: float | None) -> str | None:
    """Return seconds since 1970 as an ISO time.

    Examples
    --------
    >>> utc(0)
    '1970-01-01T00:00:00Z'
    """
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class TimeOf:
    """How the texts of a time are read.

    Parameters
    ----------
    local : whether the time is local wall time, and not an instant
    tz : zone of the product, in which a time without an offset is meant
    """

    local: bool
    tz: str

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.tz)

    def micros(self, text: str) -> int:
        """Return a time in microseconds since 1970: of local time as it stands there, of an instant since then.

        A time that clocks show twice is the earlier one.

        Raises
        ------
        ValueError : it is no such time, or one that the clocks of the zone skip; the message is a sentence

        Examples
        --------
        >>> TimeOf(True, "America/New_York").micros("2023-01-31T19:00Z") == TimeOf(True, "UTC").micros("2023-01-31T14:00")
        True
        """
        if not _FORM.fullmatch(text):
            raise ValueError("The value is not a date and a time from 1970 to 2199.")
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("There is no such date.") from None
        if moment.tzinfo is not None:
            moment = moment.astimezone(self._zone if self.local else dt.UTC).replace(tzinfo=None, fold=0)
        elif not self.local:
            moment = self._instant(moment)
        return micros_of(moment)

    def _instant(self, wall: dt.datetime) -> dt.datetime:
        instant = wall.replace(tzinfo=self._zone).astimezone(dt.UTC)
        if instant.astimezone(self._zone).replace(tzinfo=None, fold=0) != wall:
            raise ValueError("The clocks skip this time in the product's zone.")
        return instant.replace(tzinfo=None)

    def text(self, at_us: int) -> str:
        """Return a time as a caller would give it: local time without an offset, an instant in UTC."""
        return moment_of(at_us).isoformat(timespec="auto") + ("" if self.local else "Z")

    def wall(self, at_us: int) -> dt.datetime:
        """Return the local time that clocks of the zone show."""
        moment = moment_of(at_us)
        return moment if self.local else moment.replace(tzinfo=dt.UTC).astimezone(self._zone).replace(tzinfo=None, fold=0)

    def now_us(self, seconds: float) -> int:
        """Return the time that is so many seconds after 1970 began in UTC."""
        instant = dt.datetime.fromtimestamp(int(seconds), dt.UTC)
        return micros_of((instant.astimezone(self._zone) if self.local else instant).replace(tzinfo=None, fold=0))
