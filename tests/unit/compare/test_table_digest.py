"""Tables are equal to the bit in any order of rows, and where they are not, the columns and rows that differ are found."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from caudal.compare.table_digest import differing_rows, hashed_rows, largest_difference, lost_and_doubled

ROWS = {
    "whole": [1, None, 3],
    "real": [1.5, None, float("nan")],
    "text": ["a", None, ""],
    "truth": [True, None, False],
    "at": [datetime(2026, 1, 1, tzinfo=UTC), None, datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)],
    "day": [date(2026, 1, 1), None, date(2026, 1, 2)],
    "money": [Decimal("1.10"), None, Decimal("2.20")],
    "list": [[1.0, 2.0], None, []],
}


def digest(rows: dict[str, list[Any]]) -> str:
    hashed = hashed_rows(pa.table(rows))
    return hashed.digest(list(hashed.columns))


def test_the_order_of_rows_says_nothing() -> None:
    assert digest(ROWS) == digest({name: [values[2], values[0], values[1]] for name, values in ROWS.items()})


@pytest.mark.parametrize(
    ("column", "place", "value"),
    [
        ("whole", 0, 2), ("whole", 1, 0), ("real", 0, 1.5000000000000002), ("real", 1, 0.0), ("text", 1, ""), ("text", 0, "A"), ("truth", 1, False),
        ("at", 2, datetime(2026, 1, 2, 3, 4, 5, 7, tzinfo=UTC)), ("day", 0, date(2026, 1, 3)), ("money", 0, Decimal("1.11")), ("list", 0, [2.0, 1.0]), ("list", 1, []),
    ],
)  # fmt: skip
def test_every_value_counts(column: str, place: int, value: object) -> None:
    changed = {name: list(values) for name, values in ROWS.items()}
    changed[column][place] = value
    types = {name: pa.array(values).type for name, values in ROWS.items()}
    first, second = (
        hashed_rows(pa.table({name: pa.array(values, types[name]) for name, values in rows.items()})) for rows in (ROWS, changed)
    )
    assert first.digest([column]) != second.digest([column])
    assert differing_rows(first, second, column) == 1
    assert [name for name in ROWS if differing_rows(first, second, name)] == [column]


def test_zero_has_a_sign() -> None:
    assert digest({"real": [0.0]}) != digest({"real": [-0.0]})


def test_values_that_change_places_between_rows_are_seen() -> None:
    first, second = hashed_rows(pa.table({"a": [1, 2], "b": [3, 4]})), hashed_rows(pa.table({"a": [1, 2], "b": [4, 3]}))
    assert not differing_rows(first, second, "a")
    assert not differing_rows(first, second, "b")
    assert lost_and_doubled(first, second, ["a", "b"]) == (2, 2)


def test_rows_that_are_lost_and_doubled_are_counted() -> None:
    truth, other = hashed_rows(pa.table({"a": [1, 2, 2, 3]})), hashed_rows(pa.table({"a": [2, 2, 2, 4]}))
    assert lost_and_doubled(truth, other, ["a"]) == (2, 2)


def test_columns_of_caudal_itself_are_left_out() -> None:
    assert list(hashed_rows(pa.table({"a": [1], "_run": ["x"]})).columns) == ["a"]


def test_the_largest_difference_is_relative() -> None:
    first, second = pa.chunked_array([[1.0, 100.0, None]]), pa.chunked_array([[100.0, 1.001, None]])
    assert largest_difference(first, second) == pytest.approx(0.000999, rel=1e-3)
    assert largest_difference(pa.chunked_array([["a"]]), pa.chunked_array([["b"]])) is None
    assert largest_difference(first, pa.chunked_array([[1.0]])) is None


def test_types_count_and_not_only_values() -> None:
    small, large = (hashed_rows(pa.table({"a": pa.array([1, 2], kind)})) for kind in (pa.int32(), pa.int64()))
    assert small.digest(["a"]) != large.digest(["a"])
    assert differing_rows(small, large, "a") == 2
    assert not small.same_types(large, ["a"])


def test_a_column_that_one_table_lacks_differs() -> None:
    with_column, without = hashed_rows(pa.table({"a": [1], "b": [2]})), hashed_rows(pa.table({"a": [1]}))
    assert differing_rows(with_column, without, "b") == differing_rows(without, with_column, "b") == 1
    assert not with_column.same_types(without, ["b"])
