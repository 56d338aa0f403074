"""The documents of ``caudal preview --json`` and ``caudal explain --json``."""

from __future__ import annotations

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonValue


class PreviewedCheck(TypedDict):
    """An expectation, held against the rows of a sample."""

    expectation: str
    action: str
    broken: int
    message: str


class PreviewDocument(TypedDict):
    """What a table's function gives for a sample: good rows, rows that would be set aside, and how many rows of each input were read."""

    table: str
    engine: str
    inputs: dict[str, int]
    rows: list[dict[str, JsonValue]]
    quarantined: list[dict[str, JsonValue]]
    checks: list[PreviewedCheck]


class ExplainedFact(TypedDict):
    """What is known of a node: the fact's name, and the text."""

    fact: str
    text: str


class ExplainDocument(TypedDict):
    """What is known of a node, in order."""

    name: str
    facts: list[ExplainedFact]
