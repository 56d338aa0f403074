"""Whether a value is a subject's: exactly, by the value's type, and as it was written.

Numbers are compared as exact decimals, never as floats: 1234567890123456789 and 1234567890123456788 are two. Text is compared letter by letter:
'007' is not 7 and 'Jo' is not 'jo'. What a raw file writes as text is read as the type that the source's column has: in a column of whole
numbers 007 and 7.0 are 7.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from caudal.tables.raw_records import Written

NUMBERS = ("byte", "short", "integer", "int", "long", "bigint", "float", "double", "decimal")
_PLAIN = re.compile(r"(-?(?:0|[1-9]\d*))(?:\.0*)?")  # a whole number as one writes it
TIMES = ("date", "timestamp", "timestamp_ntz", "timestamp_utc")


@dataclass(frozen=True)
class Person:
    """A subject: the declared column and the value that it bears, as it was given."""

    column: str
    value: str

    def is_it(self, value: object) -> bool:
        """Tell whether a value is the subject's.

        Examples
        --------
        >>> ann, seven = Person("name", 'Ann "A"'), Person("id", "7")
        >>> ann.is_it('Ann "A"'), ann.is_it("Ann"), seven.is_it(7), seven.is_it("7"), seven.is_it("007"), seven.is_it(True)
        (True, False, True, True, False, False)
        """
        if value is None:
            return False
        if isinstance(value, bool):
            return str(value).lower() == self.value
        if isinstance(value, str):
            return value == self.value
        if isinstance(value, float):
            return self._is_float(value)
        if isinstance(value, int | Decimal):
            return number(self.value) == Decimal(value)
        if isinstance(value, dt.datetime):
            return same_moment(value, self.value)
        if isinstance(value, dt.date):
            return value.isoformat() == self.value
        if isinstance(value, bytes):
            return value in _octets(self.value)
        if isinstance(value, uuid.UUID):
            return str(value) == self.value.lower()
        return str(value) == self.value

    def is_written(self, value: object, kind: str | None) -> bool:
        """Tell whether text of a raw file is the subject's in a column of a type; of another value, whether it is as `is_it` says.

        Examples
        --------
        >>> Person("id", "7").is_written("007", "long"), Person("id", "7").is_written("007", "string")
        (True, False)
        """
        if not isinstance(value, str) or value == self.value:
            return self.is_it(value)
        base = (kind or "").partition("(")[0]
        if base in NUMBERS or (not base and isinstance(value, Written)):
            mine, read = number(self.value), number(value)
            return mine is not None and mine == read
        if base in TIMES:
            return same_moment(value, self.value)
        if base == "boolean":
            return value.strip().lower() == self.value
        return False

    def could_be(self, figure: object) -> bool:
        """Tell whether a figure of a profile, where decimals are floats and times are text, may be the subject's value."""
        mine = number(self.value)
        close = mine is not None and isinstance(figure, int | float) and float(mine) == float(figure)
        return self.is_it(figure) or close or (isinstance(figure, str) and same_moment(figure, self.value))

    def raw(self, kind: str | None) -> Callable[[object], bool]:
        """Return what tells the subject's values in raw files of a source whose column has a type."""
        return lambda value: self.is_written(value, kind)

    def digest(self, salt: str) -> str:
        """Return what stands for the subject in records that are kept; 17850.0 is 17850, but 007 is not 7."""
        plain = _PLAIN.fullmatch(self.value.strip())
        value = plain[1] if plain else self.value
        return hashlib.sha256(f"{salt}\0{self.column}\0{value}".encode()).hexdigest()

    def _is_float(self, value: float) -> bool:
        mine = number(self.value)
        return mine is not None and value == value and abs(value) != float("inf") and mine == Decimal(repr(value))

    def is_exact_in(self, kind: str | None) -> bool:
        """Tell whether a column of a type can tell the subject from its neighbours: doubles do not tell whole numbers of 17 digits apart."""
        mine, bits = number(self.value), {"float": 24, "double": 53}.get(kind or "")
        return mine is None or bits is None or abs(mine) < 1 << bits


def number(text: str) -> Decimal | None:
    """Return the number that text writes in plain or scientific notation, exactly; None where it writes none.

    Examples
    --------
    >>> number("017850"), number("1e3") == 1000, number("NaN"), number("1_000"), number("Ann")
    (Decimal('17850'), True, None, None, None)
    """
    text = text.strip()
    if not text.isascii() or "_" in text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def same_moment(value: object, text: str) -> bool:
    """Tell whether a time is the one that text writes; without an offset an instant is taken in UTC."""
    one, other = _moment(value), _moment(text)
    return one is not None and one == other


def _moment(value: object) -> dt.datetime | None:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, dt.datetime):
        return None
    moment: dt.datetime = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment


def _octets(text: str) -> tuple[bytes, ...]:
    """Return the octets that text stands for: its own, those that 0x… writes, those of a UUID."""
    octets = [text.encode()]
    with contextlib.suppress(ValueError):
        octets.append(uuid.UUID(text).bytes)
    if text.startswith("0x"):
        with contextlib.suppress(ValueError):
            octets.append(bytes.fromhex(text[2:]))
    return tuple(octets)
