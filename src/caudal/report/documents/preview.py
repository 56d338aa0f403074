"""The document of ``caudal preview --json``."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


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
    rows: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    checks: list[PreviewedCheck]
