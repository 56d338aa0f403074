"""When a column's value becomes known: at the time in a column, within a bound after the event, or a fixed time after it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from caudal.declarations.duration import seconds
from caudal.errors import DeclarationProblem, nearest


@dataclass(frozen=True)
class Known:
    """The parsed value of ``known={"x": …}`` for a column.

    Parameters
    ----------
    column : str, optional, the column that holds the time; None: always ``within_s`` after the event
    within_s : float, optional, the longest time between the event and the column's time; None: no bound
    """

    column: str | None
    within_s: float | None


def known_of(declared: str, columns: Collection[str]) -> Known:
    """Return the parsed declaration: the name of a column, ``"<column> within <duration>"``, or a duration after the event.

    Raises
    ------
    DeclarationProblem : it is none of the three

    Examples
    --------
    >>> known_of("ended", ["at", "ended"])
    Known(column='ended', within_s=None)
    >>> known_of("ended within 3 hours", ["at", "ended"])
    Known(column='ended', within_s=10800.0)
    >>> known_of("2 days", ["at"])
    Known(column=None, within_s=172800.0)
    """
    if declared in columns:
        return Known(declared, None)
    bounded = re.fullmatch(r"(.+?)\s+within\s+(.+)", declared)
    name, length = (bounded.group(1), bounded.group(2)) if bounded else (None, declared)
    if name is not None and name not in columns:
        raise _unknown(name, columns)
    try:
        return Known(name, seconds(length))
    except DeclarationProblem:
        raise _unknown(declared, columns) from None


def _unknown(declared: str, columns: Collection[str]) -> DeclarationProblem:
    return DeclarationProblem(
        f"known= names '{declared}', which is neither a column nor a duration.",
        nearest=nearest(declared, columns),
        fix='Give the column that tells when ("ended"), that and a bound ("ended within 3 hours"), or a delay ("2 days").',
        column=declared,
    )
