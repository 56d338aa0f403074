"""Values as people read them; one way for the terminal, the page and the script."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def bytes_text(number: float) -> str:
    """Return a number of bytes with a unit.

    Examples
    --------
    >>> bytes_text(512), bytes_text(25_274_736_640)
    ('512 B', '23.5 GiB')
    """
    size, unit = float(number), 0
    while abs(size) >= 1024 and unit < len(_SIZES) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_SIZES[unit]}" if unit == 0 else f"{size:.1f} {_SIZES[unit]}"


def seconds_text(seconds: float) -> str:
    """Return a time in its two largest units.

    Examples
    --------
    >>> seconds_text(59.4), seconds_text(28_662), seconds_text(200_000)
    ('59 s', '7 h 57 min', '2 d 7 h')
    """
    whole = int(seconds)
    for size, name, below, name_below in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // below} {name_below}"
    return f"{whole} s"


def value_text(value: Any, unit: str | None = None) -> str | None:
    """Return a single value as text; None for a table, a list, and what could not be found. An empty list is ``none``."""
    if value in ([], ()):
        return "none"
    if value is None or isinstance(value, (list, tuple, Mapping)):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "bytes":
        return bytes_text(value)
    if unit == "s":
        return seconds_text(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def table_texts(fact: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of a fact that is a table, as texts; a list of texts is a table of one column without a name."""
    rows = fact["value"]
    if not isinstance(rows[0], Mapping):
        return [""], [[str(row)] for row in rows]
    columns = table_columns(rows)
    return [column.replace("_", " ") for column in columns], [[_cell(fact, row, column) for column in columns] for row in rows]


def table_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns of a table that hold anything; ``unit`` is not one of them."""
    return [name for name in rows[0] if name != "unit" and any(row.get(name) not in (None, "") for row in rows)]


def _cell(fact: Mapping[str, Any], row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    in_bytes = column in fact["bytes_in"] or row.get("unit") == "bytes"
    if value is None:
        return ""
    return bytes_text(value) if in_bytes and isinstance(value, (int, float)) else value_text(value) or ""
