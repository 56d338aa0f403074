"""File formats that need options besides their name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from caudal.errors import DeclarationProblem


@dataclass(frozen=True)
class Format:
    """A format and its reader options, for ``format=`` of a connection."""

    name: str
    options: Mapping[str, object] = field(default_factory=dict)


def fixed_width(columns: Mapping[str, int | tuple[int, int]], **options: object) -> Format:
    """Return the format of lines whose columns are at fixed positions.

    Parameters
    ----------
    columns : mapping of a column to its width in characters, or to its first and last position, counted from 1 as record layouts do;
        a column given by its width starts after the column before it
    **options : ``record="D"`` reads only lines that begin with ``D``; ``skip=2`` skips the first two lines; ``short=True`` accepts
        lines that end early; ``encoding``, ``null``, ``decimal``, ``timestamp_format``, ``date_format`` as for CSV

    Examples
    --------
    >>> fixed_width({"id": 6, "name": 20, "fare": (30, 37)}).options["columns"]
    {'id': (1, 6), 'name': (7, 26), 'fare': (30, 37)}
    """
    if not columns:
        raise DeclarationProblem("A fixed-width format has no columns.", fix='Write cd.fixed_width({"id": 6, "name": 20}).')
    places: dict[str, tuple[int, int]] = {}
    end = 0
    for name, extent in columns.items():
        first, last = (end + 1, end + extent) if isinstance(extent, int) else extent
        if not 1 <= first <= last:
            raise DeclarationProblem(
                f"Column '{name}' of a fixed-width format is declared as {extent!r}.",
                fix="Give a width of at least 1, or the first and the last place, counted from 1.",
                column=name,
            )
        over = next((other for other, (start, stop) in places.items() if first <= stop and start <= last), None)
        if over is not None:
            raise DeclarationProblem(
                f"The columns '{over}' ({places[over][0]} to {places[over][1]}) and '{name}' ({first} to {last}) overlap.",
                column=name,
            )
        places[name], end = (first, last), last
    gaps = any(not isinstance(extent, int) for extent in columns.values())
    # A layout of widths alone gives the length of a line; one with positions may not describe the end of the line.
    return Format("fixed_width", {"columns": places, **({} if gaps else {"length": end}), **options})
