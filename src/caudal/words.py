"""What a product writes as ``cd.<name>``: what is declared without a kind, and every kind that has a function of its name.

A kind's function is imported when it is first asked for, and by its name alone: declaring a product starts no engine.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from inspect import isfunction
from typing import Any

from caudal.kinds import WORDS

# Of frames, and so with Spark, but no kinds that there are others of.
FUNCTIONS = {
    "fill_gaps": "caudal.stages.tables",
    "fitted": "caudal.stages.features.fitted",
    "tumble": "caudal.stages.tables",
}


def word(name: str) -> Any:
    """Return the function of a name that is imported only now.

    Raises
    ------
    AttributeError : there is none
    """
    module = None if name.startswith("_") else module_of(name)
    if module is None:
        raise AttributeError(f"module 'caudal' has no attribute '{name}'")
    return getattr(import_module(module), name)


def module_of(name: str) -> str | None:
    """Return the module that has the function of a name; None where there is none."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if find_spec(f"caudal.{name}") is not None:  # `from caudal import expect` asks for the name before it imports the module
        return None
    for kinds in WORDS:
        if kinds.has_file(name):
            return kinds.module(name).__name__
    return next((kinds.module(name).__name__ for kinds in WORDS if name in kinds.added()), None)


def words() -> tuple[str, ...]:
    """Return the names of all functions that are imported only when they are asked for."""
    found = ((getattr(kinds.module(name), name, None), name) for kinds in WORDS for name in kinds)
    return tuple(sorted({*FUNCTIONS, *(name for function, name in found if isfunction(function))}))
