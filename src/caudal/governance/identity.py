"""Decide whether a value is a subject's: exactly, by the value's type, and as it was written.

Numbers are compared as exact decimals, never as floats: 1234567890123456789 and 1234567890123456788 differ. Text is compared letter by letter:
'007' is not 7 and 'Jo' is not 'jo'. Text in a raw file is read as the type of the source's column: in a column of whole
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

from caudal.tables.raw_records import WrittenNumber

NUMBERS = ("byte", "short", "integer", "int", "long", "bigint", "float", "double", "decimal")
_PLAIN = re.compile(r"(-?(?:0|[1-9]\d*))(?:\.0*)?")  # a whole number in plain notation
TIMES = ("date", "timestamp", "timestamp_ntz", "timestamp_utc")


@dataclass(frozen=True)
class Person:
    """A subject: the declared column, and its value as the user gave it."""

    column: str
    value: str

    def is_it(self, value: object) -> bool:
        """Return whether a value is the subject's.

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
            return parse_number(self.value) == Decimal(value)
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
        """Return whether text in a raw file is the subject's, read as a column's type; other values are compared as by `is_it`.

        Examples
        --------
        >>> Person("id", "7").is_written("007", "long"), Person("id", "7").is_written("007", "string")
        (True, False)
        """
        if not isinstance(value, str) or value == self.value:
            return self.is_it(value)
        base = (kind or "").partition("(")[0]
        if base in NUMBERS or (not base and isinstance(value, WrittenNumber)):
            own_number, other_number = parse_number(self.value), parse_number(value)
            return own_number is not None and own_number == other_number
        if base in TIMES:
            return same_moment(value, self.value)
        if base == "boolean":
            return value.strip().lower() == self.value
        return False

    def could_be(self, figure: object) -> bool:
        """Return whether a profile's figure, in which decimals are floats and times are text, may be the subject's value."""
        own_number = parse_number(self.value)
        equal_as_float = own_number is not None and isinstance(figure, int | float) and float(own_number) == float(figure)
        return self.is_it(figure) or equal_as_float or (isinstance(figure, str) and same_moment(figure, self.value))

    def raw(self, kind: str | None) -> Callable[[object], bool]:
        """Return the test for the subject's values in raw files of a source whose column has a type."""
        return lambda value: self.is_written(value, kind)

    def digest(self, salt: str) -> str:
        """Return a digest that identifies the subject in stored records; 17850.0 is 17850, but 007 is not 7."""
        plain = _PLAIN.fullmatch(self.value.strip())
        value = plain[1] if plain else self.value
        return hashlib.sha256(f"{salt}\0{self.column}\0{value}".encode()).hexdigest()

    def _is_float(self, value: float) -> bool:
        own_number = parse_number(self.value)
        return own_number is not None and value == value and abs(value) != float("inf") and own_number == Decimal(repr(value))

    def is_exact_in(self, kind: str | None) -> bool:
        """Return whether a column's type is precise enough to identify the subject: doubles confuse whole numbers of 17 digits."""
        own_number, bits = parse_number(self.value), {"float": 24, "double": 53}.get(kind or "")
        return own_number is None or bits is None or abs(own_number) < 1 << bits


def parse_number(text: str) -> Decimal | None:
    """Return the number that text writes in plain or scientific notation, exactly; None if it is not a number.

    Examples
    --------
    >>> parse_number("017850"), parse_number("1e3") == 1000, parse_number("NaN"), parse_number("1_000"), parse_number("Ann")
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
    """Return whether a time is the one that text writes; an instant without an offset is taken as UTC."""
    moment, written = _moment(value), _moment(text)
    return moment is not None and moment == written


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
    """Return the bytes that text can stand for: its own, those of 0x…, those of a UUID."""
    octets = [text.encode()]
    with contextlib.suppress(ValueError):
        octets.append(uuid.UUID(text).bytes)
    if text.startswith("0x"):
        with contextlib.suppress(ValueError):
            octets.append(bytes.fromhex(text[2:]))
    return tuple(octets)
