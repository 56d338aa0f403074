"""What a kind of debt is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caudal.debt.scope import DebtScope


@dataclass(frozen=True)
class Finding:
    """A debt, where it is, and what to do about it.

    Parameters
    ----------
    subject : the name of the table, model or function
    what : a sentence that says what is wrong
    fix : a sentence that says what to do
    where : file and line
    names : the columns, functions or tables that it consists of; its size is their number, and 1 without any
    """

    subject: str
    what: str
    fix: str
    where: str | None = None
    names: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """The number of debts."""
        return max(len(self.names), 1)


@dataclass(frozen=True)
class NamedFigure:
    """A figure beside the findings, such as the lines of one kind of code."""

    name: str
    value: float
    group: str | None = None


@dataclass(frozen=True)
class Debt:
    """What a kind finds in a product.

    Parameters
    ----------
    not_measured : why some of it, or all, could not be measured
    measured : whether anything could be measured; a count of what could not be is neither kept nor compared
    """

    findings: Sequence[Finding] = ()
    figures: Sequence[NamedFigure] = ()
    not_measured: str | None = None
    measured: bool = True

    @property
    def count(self) -> int:
        """The number of debts."""
        return sum(finding.count for finding in self.findings)


@dataclass(frozen=True)
class DebtKind:
    """A kind of debt.

    Parameters
    ----------
    name : its word in options and documents; measurements have the metric ``debt_<name>``
    title : its heading, in the plural
    find_debt : returns the debt of a product
    """

    name: str
    title: str
    find_debt: Callable[[DebtScope], Debt]


def not_measured(why: str) -> Debt:
    """Return the result of a kind that could measure nothing."""
    return Debt(not_measured=why, measured=False)


def several(names: Sequence[str], most: int = 6) -> str:
    """Return names as text, the first ones only where there are many.

    Examples
    --------
    >>> several(["a", "b"]), several(["a", "b", "c"], most=2)
    ('a, b', 'a, b and 1 more')
    """
    rest = len(names) - most
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:most])} and {rest} more"
