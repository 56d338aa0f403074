"""Holdouts: rows that a model is never trained on; each promoted version is scored on them once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from caudal.declarations.duration import seconds, text
from caudal.declarations.location import outside
from caudal.errors import DeclarationProblem


@dataclass(frozen=True)
class Holdout:
    """The rows that are held out: exactly one of the four fields is set.

    Parameters
    ----------
    newest_s : float, the labelled rows of the last seconds of event time
    newest_rows : int, number of the newest labelled rows
    table : str, the rows of another table with the columns of the features
    flag : str, rows whose boolean column of that name is true; null is false
    """

    newest_s: float | None = None
    newest_rows: int | None = None
    table: str | None = None
    flag: str | None = None

    @property
    def described(self) -> str:
        """The rows, as text.

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
    """Return a holdout: rows that are never trained on, and used once, to score a version that is promoted.

    Parameters
    ----------
    newest : the newest labelled rows, as a duration ("14 days") or a number of rows
    table : a table of the product (its function or name) that has the features' columns; rows of the features with its keys are not trained on either
    flag : a boolean column of the features; it is not an input of the model

    Raises
    ------
    DeclarationProblem : not exactly one option is given, or a length is invalid

    Examples
    --------
    >>> holdout("14 days").newest_s, holdout(flag="is_test").flag
    (1209600.0, 'is_test')
    """
    options = [name for name, value in (("newest", newest), ("table", table), ("flag", flag)) if value is not None]
    if len(options) != 1:
        raise DeclarationProblem(
            f"A holdout is given {' and '.join(options) or 'no rows'}.",
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


def holdout_of(declared: Holdout | str | int | None) -> Holdout | None:
    """Return a holdout from its declaration; a duration or a number of rows means the newest rows."""
    return declared if declared is None or isinstance(declared, Holdout) else holdout(declared)
