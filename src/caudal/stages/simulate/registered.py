"""Simulators by name: each is a file of this package with one class decorated with ``@simulates``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from caudal.discovery import mark_kind
from caudal.errors import NotThere, nearest
from caudal.kinds import SIMULATORS
from caudal.stages.simulate.played import Played

_C = TypeVar("_C", bound=type[Played])


def simulates(name: str) -> Callable[[_C], _C]:
    """Return a decorator that marks a class as the simulator ``name``."""
    return mark_kind("simulators", name)


def simulators() -> Mapping[str, type[Played]]:
    """Return the class of every simulator and recording, by name.

    Examples
    --------
    >>> sorted(simulators())
    ['eeg', 'recording', 'robot', 'stocks', 'traffic', 'weather']
    """
    return SIMULATORS


def simulator(name: str, **parameters: Any) -> Played:
    """Return the simulator of that name.

    Raises
    ------
    NotThere : there is no simulator of that name
    """
    by_name = simulators()
    if name not in by_name:
        raise NotThere(
            f"There is no simulator '{name}'.", nearest=nearest(name, by_name), fix=f"Use one of {', '.join(sorted(by_name))}."
        )
    return by_name[name](**parameters)
