"""Rows of raw files, and of checks, figures and origins of tables."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject, Scalar


class LandedRow(TypedDict):
    """A content of a raw file."""

    id: int
    product: str
    source: str
    path: str
    base: str | None
    sha256: str
    bytes: int
    modified_ns: int
    landed_at: float
    run_id: str
    kind: Literal["data", "correction", "refused", "erased"]
    etag: str | None
    seq: int


class CounterRow(TypedDict):
    """The last number that the rows of a table were given."""

    name: str
    value: int


class _OfTable(TypedDict):
    id: int
    run_id: str
    product: str
    table: str


class ExpectationDocument(TypedDict):
    """What an expectation counted."""

    expectation: str
    kind: str
    action: str
    rows: int | None
    broken: int | None
    passed: bool
    message: str | None


class CheckRow(_OfTable, ExpectationDocument):
    """What an expectation of a table counted in a run."""


class ColumnProfile(TypedDict, total=False):
    """A column's figures."""

    nulls: int
    min: Scalar
    max: Scalar
    mean: float | None
    stddev: float | None
    distinct: int | None


class ProfileDocument(TypedDict):
    """The number of rows and the figures of their columns."""

    rows: int
    columns: dict[str, ColumnProfile]


class _OfVersion(_OfTable):
    version: int | None


class ProfileRow(_OfVersion, ProfileDocument):
    """The figures of a version's columns."""


_Origins = TypedDict("_Origins", {"from": list[JsonObject]})  # "from" cannot be a field of a class


class ColumnLineage(_Origins, total=False):
    """What a column is made of: the columns whose values it has, and those that decide it."""

    indirect: list[JsonObject]
    unknown: str


class LineageDocument(TypedDict):
    """What the columns of a table are made of, and what decides which rows it has."""

    columns: dict[str, ColumnLineage]
    rows: JsonObject


class LineageRow(_OfVersion):
    """Which input columns each column of a table is made of."""

    document: LineageDocument
