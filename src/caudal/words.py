"""Resolve ``cd.<name>`` for functions that ``caudal/__init__.py`` does not import: those in `FUNCTIONS`, and every kind with a function of its name.

A kind's function is imported at its first use, and no other kind with it: declaring a product starts no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from inspect import isfunction

from caudal.errors import nearest
from caudal.kinds import WORDS

# Functions of frames, which need Spark, of estimators, which need scikit-learn, and of homes; they are not kinds, since other packages cannot add any.
FUNCTIONS = {
    "fill_gaps": "caudal.stages.tables",
    "fitted": "caudal.stages.features.fitted",
    "inspect_environment": "caudal.client.inspected",
    "open": "caudal.client.opened",
    "open_product": "caudal.client.folder",
    "search": "caudal.stages.select.search",
    "tumble": "caudal.stages.tables",
}


@dataclass(frozen=True)
class UnknownName:
    """The message that ``caudal`` has no attribute of this name.

    The nearest name is looked up only when the message is shown, since that imports every kind: pickle, for one, asks all modules for
    any name.
    """

    name: str
    declared: Sequence[str]

    def __str__(self) -> str:
        near = None if self.name.startswith("_") else nearest(self.name, (*self.declared, *words()))
        return f"module 'caudal' has no attribute '{self.name}'" + (f". Did you mean '{near}'?" if near else "")


def word(name: str, declared: Sequence[str] = ()) -> object:
    """Return the function of a name, imported now.

    Parameters
    ----------
    declared : the names that ``caudal`` has without it; the error's suggestion may be one of them

    Raises
    ------
    AttributeError : there is no such function
    """
    module = None if name.startswith("_") else module_of(name)
    if module is None:
        raise AttributeError(UnknownName(name, declared), name=name)  # with the object, too, Python would append its own suggestion
    return getattr(import_module(module), name)


def module_of(name: str) -> str | None:
    """Return the module of the function of a name; None where there is none."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if find_spec(f"caudal.{name}") is not None:  # `from caudal import expect` asks for the name before it imports the module
        return None
    for kinds in WORDS:
        if kinds.has_file(name):
            return kinds.module(name).__name__
    return next((kinds.module(name).__name__ for kinds in WORDS if name in kinds.added()), None)


def words() -> tuple[str, ...]:
    """Return the names of all functions that are imported at their first use."""
    functions = ((getattr(kinds.module(name), name, None), name) for kinds in WORDS for name in kinds)
    return tuple(sorted({*FUNCTIONS, *(name for function, name in functions if isfunction(function))}))
