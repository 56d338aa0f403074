"""The kinds of expectations: each file of this package has a class with a ``kind`` and the function of that name which products call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from caudal.declarations.expectation import Expectation
from caudal.kinds import EXPECTATIONS


def expectation_kinds() -> Mapping[str, type[Expectation]]:
    """Return the class of every kind, by the kind's name.

    Examples
    --------
    >>> sorted(expectation_kinds())[:3]
    ['between', 'distribution', 'freshness']
    """
    return EXPECTATIONS


def constructor(kind: str) -> Callable[..., object]:
    """Return the function that users call to declare a kind; it has the kind's name and lives in the class's module."""
    function: Callable[..., object] = getattr(EXPECTATIONS.module(kind), kind)
    return function
