"""Lines with columns at fixed places: exact values, every line of another length known."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

import caudal as cd
from caudal.declarations.connection import files
from caudal.declarations.node import Source
from caudal.declarations.schema import Schema, schema
from caudal.errors import DeclarationProblem, SourceProblem
from caudal.stages.ingest.read import read_files

LAYOUT = {"id": 4, "name": 8, "fare": 7}
LINES = "   1Ann        2.50\n   2Zoë       -1.00\n   3 O'Neil   x9.99\n"


@pytest.fixture
def declared() -> Callable[..., Source]:
    """Return a function that declares a source of fixed columns."""

    def made(columns: Any = LAYOUT, schema: Schema | None = None, **options: Any) -> Source:
        return Source("rides", files("*", format=cd.fixed_width(columns, **options)), schema)

    return made


def rows(result: Any, *names: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in result.frame.select(*names).collect()), key=str)


@pytest.mark.parametrize(("pack", "ending"), [(lambda octets: octets, ""), (gzip.compress, ".gz")])
def test_values_are_trimmed_and_typed(spark: Any, land: Any, declared: Any, pack: Any, ending: str) -> None:
    file = land(pack(LINES.encode()), f"rides.txt{ending}", "fixed_width")
    result = read_files(spark, [file], declared(schema=schema(id="long", name="string", fare="double")))
    assert rows(result, "id", "name", "fare", "_format_errors") == [
        (1, "Ann", 2.5, None), (2, "Zoë", -1.0, None), (3, "O'Neil", None, ["fare is not a number"]),
    ]  # fmt: skip


def test_types_are_inferred_and_other_encodings_read(spark: Any, land: Any, declared: Any) -> None:
    file = land(LINES.replace("x9.99", " 9.99").encode("cp1252"), "rides.txt", "fixed_width")
    result = read_files(spark, [file], declared(encoding="windows-1252"))
    assert [one.type for one in result.schema] == ["long", "string", "double"]
    assert {name for (name,) in rows(result, "name")} == {"Ann", "O'Neil", "Zoë"}
    with pytest.raises(SourceProblem, match="line 2 has the byte 0xEB"):
        read_files(spark, [file], declared())


def test_lines_of_another_length_are_format_errors(spark: Any, land: Any, declared: Any) -> None:
    file = land("   1Ann        2.50\n   2Bo\n   3Cy         3.00 and more\n\n", "rides.txt", "fixed_width")
    bad = read_files(spark, [file], declared(schema=schema(id="long", name="string", fare="double"))).frame.where(
        "_format_errors is not null"
    )
    assert sorted(row._raw for row in bad.collect()) == ['{"_line":"   2Bo"}', '{"_line":"   3Cy         3.00 and more"}']
    short = read_files(spark, [file], declared(schema=schema(id="long", name="string", fare="double"), short=True))
    assert rows(short.frame and short, "id", "fare")[:2] == [(1, 2.5), (2, None)]


def test_records_of_one_kind_are_taken_by_their_first_letters(spark: Any, land: Any, declared: Any) -> None:
    file = land("a title\nH20240301\nD0001 12\nD0002 34\nT0002\n", "rides.txt", "fixed_width")
    source = declared({"id": (2, 5), "amount": (6, 8)}, record="D", skip=1)
    assert rows(read_files(spark, [file], source), "id", "amount") == [("0001", 12), ("0002", 34)]


def test_a_wrong_layout_is_told_before_any_row_is_set_aside(spark: Any, land: Any, declared: Any) -> None:
    with pytest.raises(SourceProblem, match="have at most 8 characters; the columns are declared up to place 19"):
        read_files(spark, [land("1234 abc\n5678 def\n", "rides.txt", "fixed_width")], declared())
    with pytest.raises(SourceProblem, match="holds no line that begins with 'D'"):
        read_files(spark, [land("H\n", "rides.txt", "fixed_width")], declared(record="D"))


def test_a_layout_that_cannot_be_is_refused_when_it_is_declared() -> None:
    with pytest.raises(DeclarationProblem, match=r"'a' \(1 to 4\) and 'b' \(3 to 6\) overlap"):
        cd.fixed_width({"a": 4, "b": (3, 6)})
    with pytest.raises(DeclarationProblem, match="is declared as 0"):
        cd.fixed_width({"a": 0})
