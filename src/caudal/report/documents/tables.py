"""Documents of commands that show rows: export and quarantine."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonValue


class ExportDocument(TypedDict):
    """``caudal export``."""

    product: str
    table: str
    version: int
    rows: int
    format: Literal["parquet", "avro", "csv"]
    to: str


class QuarantineCount(TypedDict):
    """A line of ``caudal quarantine list``."""

    product: str
    table: str
    reason: str
    rows: int


class QuarantinedRow(TypedDict):
    """A line of ``caudal quarantine show``."""

    reasons: list[str] | None
    file: str | None
    raw: JsonValue
