"""The kinds of expectations: each module of this package that defines a class with a ``kind`` and a function of that name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from caudal.declarations.expectation import Expectation


@cache
def kinds() -> dict[str, type[Expectation]]:
    """Return the class of every kind, by the kind's name.

    Examples
    --------
    >>> sorted(kinds())[:3]
    ['between', 'distribution', 'freshness']
    """
    package = __name__.rpartition(".")[0]
    classes: dict[str, type[Expectation]] = {}
    for module in iter_modules(import_module(package).__path__):
        if module.ispkg:
            continue
        imported = import_module(f"{package}.{module.name}")
        for var in vars(imported).values():
            if (
                isinstance(var, type)
                and issubclass(var, Expectation)
                and var.__module__ == imported.__name__
                and "kind" in vars(var)
            ):
                classes[var.kind] = var
    return dict(sorted(classes.items()))


def constructor(kind: str) -> Callable[..., Any]:
    """Return the function that users call to declare a kind; it has the kind's name and lives in the class's module."""
    function: Callable[..., Any] = getattr(import_module(kinds()[kind].__module__), kind)
    return function
