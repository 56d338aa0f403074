"""Changes of a column's type that lose nothing, and those that have to be checked row by row."""

from __future__ import annotations

import re

from caudal.declarations.schema import element_of

# Every value of the left type is a value of the right one.
_LOSSLESS = {
    ("int", "long"), ("int", "double"), ("float", "double"), ("date", "timestamp"),
    ("boolean", "string"), ("int", "string"), ("long", "string"), ("date", "string"),
}  # fmt: skip
# A declaration may ask for these; the rows that do not fit become format errors.
_DECLARED = {
    ("double", "long"): "whole", ("double", "int"): "whole", ("float", "long"): "whole", ("float", "int"): "whole",
    ("long", "int"): "fits", ("int", "float"): "exact", ("long", "float"): "exact", ("timestamp", "date"): "midnight",
    ("timestamp_utc", "timestamp"): "wall", ("timestamp", "timestamp_utc"): "instant", ("binary", "string"): "utf8",
}  # fmt: skip
_DIGITS = {"int": 10, "long": 19}
_ORDER = ("int", "long", "float", "double")


def rule(have: str, want: str, *, declared: bool) -> str | None:
    """Return the name of the conversion from a file's column to a column of the schema, or None where it would lose values.

    Examples
    --------
    >>> rule("int", "long", declared=False), rule("long", "double", declared=False)
    ('cast', 'exact')
    >>> rule("double", "long", declared=True), rule("double", "long", declared=False), rule("string", "double", declared=True)
    ('whole', None, None)
    """
    have_element, want_element = element_of(have), element_of(want)
    if have in ("null", "text"):
        return None if have == "text" and want_element else have
    if have == want:
        return "same"
    if have == "nested" or have_element:
        if have_element and want_element:
            return "cast" if rule(have_element, want_element, declared=False) in ("same", "cast") else None
        return "json" if want == "string" else None
    if (have, want) in _LOSSLESS:
        return "cast"
    if (have, want) == ("long", "double"):
        return "exact"
    if decimals := _decimal(have, want, declared):
        return decimals
    return _DECLARED.get((have, want)) if declared else None


def common(left: str, right: str) -> str | None:
    """Return the type that holds every value of two types, or None when there is none.

    Examples
    --------
    >>> common("int", "long"), common("long", "double"), common("date", "timestamp"), common("string", "long")
    ('long', 'double', 'timestamp', None)
    """
    if left == right or right in ("null", "text"):
        return left
    elements = element_of(left), element_of(right)
    if elements[0] and elements[1]:
        inner = common(elements[0], elements[1])
        return f"array<{inner}>" if inner else None
    if left in ("null", "text"):
        return right
    if left in _ORDER and right in _ORDER:
        if "float" in (left, right):
            return "double"
        return max(left, right, key=_ORDER.index)
    for narrow, wide in ((left, right), (right, left)):
        if (narrow, wide) == ("date", "timestamp") or _decimal(narrow, wide, False) == "cast":
            return wide
    left_digits, right_digits = decimal_of(left), decimal_of(right)
    if left_digits and right_digits:
        scale = max(left_digits[1], right_digits[1])
        precision = max(left_digits[0] - left_digits[1], right_digits[0] - right_digits[1]) + scale
        return f"decimal({precision},{scale})" if precision <= 38 else None
    return None


def general(type: str) -> str:
    """Return the type of an undeclared column: the widest of its family, so that later files fit.

    Examples
    --------
    >>> general("int"), general("float"), general("nested"), general("date"), general("array<int>")
    ('long', 'double', 'string', 'date', 'array<long>')
    """
    if inner := element_of(type):
        return f"array<{general(inner)}>"
    return {"int": "long", "float": "double", "nested": "string"}.get(type, type)


def decimal_of(type: str) -> tuple[int, int] | None:
    """Return precision and scale of a decimal type.

    Examples
    --------
    >>> decimal_of("decimal(10,2)"), decimal_of("long")
    ((10, 2), None)
    """
    match = re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", type)
    return (int(match.group(1)), int(match.group(2))) if match else None


def _decimal(have: str, want: str, declared: bool) -> str | None:
    wide, narrow = decimal_of(want), decimal_of(have)
    if wide:
        digits, scale = (_DIGITS[have], 0) if have in _DIGITS else (narrow[0] - narrow[1], narrow[1]) if narrow else (None, 0)
        if digits is None:
            return None
        if wide[0] - wide[1] >= digits and wide[1] >= scale:
            return "cast"
        return "fits" if declared else None
    if narrow and want == "double" and narrow[0] <= 15:  # fifteen digits go through a double unchanged
        return "cast"
    return "fits" if narrow and want in _DIGITS and declared else None
