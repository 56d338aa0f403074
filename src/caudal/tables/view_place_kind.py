"""The form of a kind of place in which online views lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from caudal.tables.online import ViewPlace


@dataclass(frozen=True)
class ViewPlaceKind:
    """A kind of place of online views.

    Parameters
    ----------
    name : that of its file
    schemes : of the addresses that name such a place; none for files of the home
    opened : callable ``(address, folder)``, returns the place; nothing is connected yet. The folder is that of online views in the home
    form : an address as an example
    """

    name: str
    schemes: tuple[str, ...]
    opened: Callable[[str, Path], ViewPlace]
    form: str = ""
