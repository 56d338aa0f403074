"""Simulators by name: each is a file of this package with one class decorated with ``@simulates``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, TypeVar

from caudal.errors import NotThere, nearest
from caudal.stages.simulate.played import Played

_CLASSES: dict[str, type[Played]] = {}
_C = TypeVar("_C", bound=type[Played])


def simulates(name: str) -> Callable[[_C], _C]:
    """Return a decorator that registers a class under ``name``."""

    def register(class_: _C) -> _C:
        _CLASSES[name] = class_
        return class_

    return register


def simulators() -> Mapping[str, type[Played]]:
    """Return the class of every simulator and recording, by name.

    Examples
    --------
    >>> sorted(simulators())
    ['eeg', 'recording', 'robot', 'stocks', 'traffic', 'weather']
    """
    package = __name__.rpartition(".")[0]
    for module in iter_modules(import_module(package).__path__):
        import_module(f"{package}.{module.name}")
    return _CLASSES


def simulator(name: str, **parameters: Any) -> Played:
    """Return the simulator of that name.

    Raises
    ------
    NotThere : there is no simulator of that name
    """
    if name not in (known := simulators()):
        raise NotThere(f"There is no simulator '{name}'.", nearest=nearest(name, known), fix=f"Known: {', '.join(sorted(known))}.")
    return known[name](**parameters)
