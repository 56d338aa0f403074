"""Rows that a model never learns from, by which each promoted version is scored once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from caudal.declarations.duration import seconds, text
from caudal.declarations.location import outside
from caudal.errors import DeclarationProblem


@dataclass(frozen=True)
class Holdout:
    """Which rows are held out: exactly one of the four is given.

    Parameters
    ----------
    newest_s : float, labelled rows of the newest stretch of time
    newest_rows : int, so many of the newest labelled rows
    table : str, the rows of another table with the columns of the features
    flag : str, rows whose boolean column of that name is true; null is false
    """

    newest_s: float | None = None
    newest_rows: int | None = None
    table: str | None = None
    flag: str | None = None

    @property
    def described(self) -> str:
        """Which rows, in words.

        Examples
        --------
        >>> Holdout(newest_s=86400.0).described, Holdout(flag="test").described
        ('the newest 1 day', "rows flagged by 'test'")
        """
        if self.newest_s is not None:
            return f"the newest {text(self.newest_s)}"
        if self.newest_rows is not None:
            return f"the newest {self.newest_rows:,} rows"
        return f"the table '{self.table}'" if self.table else f"rows flagged by '{self.flag}'"


def holdout(
    newest: str | int | None = None, *, table: Callable[..., object] | str | None = None, flag: str | None = None
) -> Holdout:
    """Return which rows are held out: never trained on, and used once, to score a version that is promoted.

    Parameters
    ----------
    newest : the newest labelled stretch, as a duration ("14 days") or a number of rows
    table : a table of the product (its function or name) that has the features' columns; rows of the features with its keys are not trained on either
    flag : a boolean column of the features; it is no input

    Raises
    ------
    DeclarationProblem : not exactly one way is given, or a length makes no sense

    Examples
    --------
    >>> holdout("14 days").newest_s, holdout(flag="is_test").flag
    (1209600.0, 'is_test')
    """
    given = [name for name, value in (("newest", newest), ("table", table), ("flag", flag)) if value is not None]
    if len(given) != 1:
        raise DeclarationProblem(
            f"A holdout is given {' and '.join(given) or 'no rows'}.",
            fix="Give one of newest='14 days', table=… or flag='column'.",
            where=str(outside()),
        )
    if isinstance(newest, str):
        return Holdout(newest_s=seconds(newest))
    if newest is not None:
        if isinstance(newest, bool) or newest < 1:
            raise DeclarationProblem(
                f"A holdout of {newest} rows holds nothing out.", fix="Take one row at least.", where=str(outside())
            )
        return Holdout(newest_rows=newest)
    if table is not None:
        return Holdout(table=table if isinstance(table, str) else table.__name__)
    return Holdout(flag=flag)


def holdout_of(said: Holdout | str | int | None) -> Holdout | None:
    """Return a holdout as declared: a duration or a number of rows is the newest stretch."""
    return said if said is None or isinstance(said, Holdout) else holdout(said)
