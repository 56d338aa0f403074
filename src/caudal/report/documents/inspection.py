"""The document of ``caudal inspect``."""

from __future__ import annotations

from typing_extensions import TypedDict

from caudal.json_value import JsonValue


class InspectedFactDocument(TypedDict):
    """A fact with how it was found out; of one that could not be found, the reason.

    ``value`` is a text, a number, a truth value, a list of texts, or a list of objects, of which the columns ``bytes_in`` are in bytes.
    ``unit`` is ``bytes`` or ``s``; ``text`` is a single value as people read it.
    """

    name: str
    label: str
    found: bool
    value: JsonValue
    unit: str | None
    bytes_in: list[str]
    text: str | None
    how: str | None
    why_not: str | None


class InspectedSection(TypedDict):
    """What one probe found."""

    name: str
    title: str
    took_s: float
    facts: list[InspectedFactDocument]


class InspectDocument(TypedDict):
    """``caudal inspect``; ``at`` is in seconds since 1970."""

    at: float
    host: str
    took_s: float
    sections: list[InspectedSection]
