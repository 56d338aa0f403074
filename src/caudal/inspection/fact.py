"""What a probe finds: a fact with how it was found out, or the reason why it could not be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterable, Optional, Tuple

if TYPE_CHECKING:
    from caudal.inspection.scope import InspectionScope


@dataclass(frozen=True)
class InspectedFact:
    """A line of an inspection.

    Parameters
    ----------
    name : its key in documents
    label : its name for people
    value : text, number, truth value, list of texts, or list of mappings, which is shown as a table; None where it could not be found
    how : how it was found out; of what could not be found, why
    unit : ``bytes`` or ``s``, of a number
    bytes_in : the columns of a table that hold bytes
    """

    name: str
    label: str
    value: Any
    how: str
    unit: Optional[str] = None
    bytes_in: Tuple[str, ...] = ()


@dataclass(frozen=True)
class InspectionProbe:
    """A kind of probe.

    Parameters
    ----------
    name : its word in options and documents
    title : its heading
    findings : yields the facts; whatever it raises is shown as a fact that could not be found
    """

    name: str
    title: str
    findings: Callable[[InspectionScope], Iterable[InspectedFact]]


def known(name: str, label: str, value: Any, how: str, unit: str | None = None, bytes_in: tuple[str, ...] = ()) -> InspectedFact:
    """Return a fact that was found."""
    return InspectedFact(name, label, value, how, unit, bytes_in)


def not_known(name: str, label: str, why: str) -> InspectedFact:
    """Return a fact that could not be found, with the reason."""
    return InspectedFact(name, label, None, why)


def known_if(
    name: str, label: str, value: Any, how: str, why: str, unit: str | None = None, bytes_in: tuple[str, ...] = ()
) -> InspectedFact:
    """Return a fact that was found if it has a value, else one that could not be found.

    Examples
    --------
    >>> known_if("speed", "Speed", None, "/sys/speed", "/sys/speed is missing").how
    '/sys/speed is missing'
    """
    return known(name, label, value, how, unit, bytes_in) if value not in (None, "", [], {}) else not_known(name, label, why)
