"""Formats that a name alone does not describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from caudal.errors import DeclarationProblem


@dataclass(frozen=True)
class Format:
    """A format and the options that it is read with; ``format=`` of a connection takes it."""

    name: str
    options: Mapping[str, object] = field(default_factory=dict)


def fixed_width(columns: Mapping[str, int | tuple[int, int]], **options: object) -> Format:
    """Return the format of lines whose columns stand at fixed places.

    Parameters
    ----------
    columns : mapping of a column to its width in characters, or to its first and last place, counted from 1 as record layouts do;
        a width goes on where the column before it ends
    **options : ``record="D"`` takes only lines that begin so; ``skip=2`` leaves the first lines out; ``short=True`` lets lines end
        early; ``encoding``, ``null``, ``decimal``, ``timestamp_format``, ``date_format`` as for CSV

    Examples
    --------
    >>> fixed_width({"id": 6, "name": 20, "fare": (30, 37)}).options["columns"]
    {'id': (1, 6), 'name': (7, 26), 'fare': (30, 37)}
    """
    if not columns:
        raise DeclarationProblem("A fixed-width format has no columns.", fix='Write cd.fixed_width({"id": 6, "name": 20}).')
    places: dict[str, tuple[int, int]] = {}
    end = 0
    for name, said in columns.items():
        first, last = (end + 1, end + said) if isinstance(said, int) else said
        if not 1 <= first <= last:
            raise DeclarationProblem(
                f"Column '{name}' of a fixed-width format is declared as {said!r}.",
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
    gaps = any(not isinstance(said, int) for said in columns.values())
    # A layout of widths alone says how long a line is; one of places may leave the end of the line out.
    return Format("fixed_width", {"columns": places, **({} if gaps else {"length": end}), **options})
