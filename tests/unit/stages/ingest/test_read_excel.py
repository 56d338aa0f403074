"""Workbooks: cells keep their types, bad cells are known by row, every kind of wrong file is said in one sentence."""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from caudal.declarations.schema import column, schema
from caudal.errors import SourceProblem
from caudal.stages.ingest.read import read_files

DAY = datetime.date(2024, 3, 1)
AT = datetime.datetime(2024, 3, 1, 12, 30, 15)


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a workbook from rows by sheet."""

    def written(name: str = "orders.xlsx", **sheets: Sequence[Sequence[Any]]) -> Path:
        made = openpyxl.Workbook()
        made.remove(made.active)
        for sheet, rows in sheets.items():
            page = made.create_sheet(sheet)
            for row in rows:
                page.append(list(row))
        made.save(tmp_path / name)
        return tmp_path / name

    return written


def rows(result: Any, *names: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in result.frame.select(*names).collect()), key=str)


def test_cells_tell_the_types_of_columns_that_nobody_declared(spark: Any, land: Any, source: Any, book: Any) -> None:
    path = book(
        O=[
            ["id", "code", "amount", "day", "at", "paid", "mixed"],
            [1, "007", 1.5, DAY, AT, True, 1],
            [2, "12", 2, DAY, None, False, "x"],
        ]
    )
    result = read_files(spark, [land(path)], source())
    assert {one.name: one.type for one in result.schema} == {
        "id": "long", "code": "string", "amount": "double", "day": "date", "at": "timestamp", "paid": "boolean", "mixed": "string",
    }  # fmt: skip
    assert rows(result, *result.schema.names) == [(1, "007", 1.5, DAY, AT, True, "1"), (2, "12", 2.0, DAY, None, False, "x")]


def test_a_bad_cell_and_an_error_are_format_errors_of_their_rows(spark: Any, land: Any, source: Any, book: Any) -> None:
    path = book(O=[["id", "amount"], [1, 2.5], ["two", 3], [3, "#DIV/0!"], [None, 4]])
    result = read_files(spark, [land(path)], source(schema(id=column("long", nullable=False), amount="double")))
    assert rows(result, "id", "amount", "_format_errors") == [
        (1, 2.5, None),
        (3, None, ["amount is not a number"]),
        (None, 3.0, ["id is not a whole number"]),
        (None, 4.0, ["id is missing"]),
    ]
    bad = result.frame.where("id = 3").first()
    assert json.loads(bad._raw)["amount"] == "#DIV/0!"


def test_an_error_does_not_change_the_type_of_its_column(spark: Any, land: Any, source: Any, book: Any) -> None:
    result = read_files(spark, [land(book(O=[["id", "amount"], [1, 2.5], [2, "#N/A"]]))], source())
    assert result.schema["amount"].type == "double"
    assert result.frame.where("_format_errors is not null").count() == 1


def test_titles_above_the_header_and_the_margin_are_passed_over(spark: Any, land: Any, source: Any, book: Any) -> None:
    path = book(O=[[None, "Orders of March"], [], [None, "id", "name"], [None, 1, "a"], [], [None, 2, "b"]])
    assert rows(read_files(spark, [land(path)], source(header=3)), "id", "name") == [(1, "a"), (2, "b")]
    bare = book(O=[[1, "a"], [2, "b"]])
    assert rows(read_files(spark, [land(bare)], source(schema(id="long", name="string"), header=False)), "id", "name") == [
        (1, "a"),
        (2, "b"),
    ]


def test_sheets_are_chosen_by_name_number_and_pattern(spark: Any, land: Any, source: Any, book: Any) -> None:
    file = land(book(**{"2023": [["id"], [1]], "2024": [["id"], [2]], "Notes": [["text"], ["none"]]}))
    first = read_files(spark, [file], source())
    assert rows(first, "id") == [(1,)]
    assert "the sheet '2023' is read, and not '2024', 'Notes'" in " ".join(first.notes)
    assert rows(read_files(spark, [file], source(sheet="2024")), "id") == [(2,)]
    assert rows(read_files(spark, [file], source(sheet=2)), "id") == [(2,)]
    assert rows(read_files(spark, [file], source(sheet="20*")), "id") == [(1,), (2,)]
    with pytest.raises(
        SourceProblem, match=r"has no sheet '2034'; it has '2023', '2024', 'Notes'. Did you mean '2024'\?"
    ) as raised:
        read_files(spark, [file], source(sheet="2034"))
    assert raised.value.facts["file"] == "orders.xlsx"


def test_what_is_wrong_with_a_file_is_one_sentence(spark: Any, land: Any, source: Any, book: Any) -> None:
    with pytest.raises(SourceProblem, match="is no workbook, or a broken one"):
        read_files(spark, [land("id,name\n1,a\n", "orders.xlsx")], source())
    whole = book(O=[["id"], *([i] for i in range(5000))]).read_bytes()
    with pytest.raises(SourceProblem, match="is truncated: it has no zip directory at its end"):
        read_files(spark, [land(whole[: len(whole) // 2], "orders.xlsx")], source())
    with pytest.raises(SourceProblem, match="is protected by a password"):
        read_files(spark, [land(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4096, "orders.xlsx")], source())
    with pytest.raises(SourceProblem, match="holds no row in the sheet 'O'"):
        read_files(spark, [land(book(O=[]))], source())
    with pytest.raises(SourceProblem, match="lacks the column 'name'"):
        read_files(spark, [land(book(O=[["id"], [1]]))], source(schema(id="long", name="string")))


def test_real_rows_are_the_same_as_from_csv(spark: Any, land: Any, source: Any, book: Any, shared_data: Path) -> None:
    path = next(path for path in sorted((shared_data / "occupancy").iterdir()) if "training" in path.name)
    with path.open(newline="") as file:
        header, *data = list(islice(csv.reader(file), 2001))
    names = header[-len(data[0]) + 1 :] if len(header) < len(data[0]) else header
    values = [[datetime.datetime.fromisoformat(row[1]), *(float(one) for one in row[2:])] for row in data]
    result = read_files(spark, [land(book("occupancy.xlsx", O=[names, *values]))], source())
    assert result.schema["date"].type == "timestamp"
    got = result.frame.selectExpr("count(*)", "sum(Temperature)", "max(date)", "sum(Occupancy)").first()
    assert (got[0], got[2], got[3]) == (2000, max(row[0] for row in values), sum(row[-1] for row in values))
    assert got[1] == pytest.approx(sum(row[1] for row in values), abs=1e-6)
