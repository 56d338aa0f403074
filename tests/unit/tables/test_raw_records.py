"""Raw files without one subject: its rows go, exactly they, in every format; the rest stays as it was, to the byte where it is text."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from decimal import Decimal
from functools import partial
from pathlib import Path

import fastavro
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from caudal.errors import NotThere
from caudal.governance.identity import Person
from caudal.stages.ingest.formats.json_records import row_spans
from caudal.tables import erased
from caudal.tables.raw_records import RawKind

# Neighbours that are equal to somebody who compares as floats, without quotes, without case, without blanks or without zeros.
NEIGHBOURS = [
    "1234567890123456789", "1234567890123456788", "1234567890123456700", "007", "7", "7.0", "7e0", "07", "-7", " 7", "7 ", "1e3", "1000", "0x7", "ANN",
    "ann", "Ann", "Ann ", 'Ann "A"', '"Ann"', "Ann'", "Ann\\", "A\nnn", "A\r\nnn", "a,b", "a;b", "Ä", "A\u0308", "ß", "ss", "True", "nan", "null", "∞", "\u2028", "🦊",
]  # fmt: skip
ids = st.lists(st.sampled_from(NEIGHBOURS) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1), min_size=1, max_size=12)  # fmt: skip
many = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
PACKINGS = {"": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def rest(file: Path, kind: RawKind, who: Person, type: str = "string") -> Path:
    """Return a file without the subject, after it was counted."""
    to = file.with_name(f"new{''.join(file.suffixes)}")
    count = erased.count_subject_rows(file, kind, who.column, who.raw(type))
    gone, _ = erased.without(file, to, kind, who.column, who.raw(type))
    assert count == gone
    assert erased.count_subject_rows(to, kind, who.column, who.raw(type)) == 0
    return to


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("header", [True, False])
@many
@given(values=ids, data=st.data())
def test_csv(tmp_path, packing, header, values, data):
    who = Person("id", data.draw(st.sampled_from(values)))
    text = io.StringIO(newline="")
    rows = [(str(place), value) for place, value in enumerate(values)]
    csv.writer(text).writerows([*([("n", "id")] if header else []), *rows])
    file = tmp_path / f"raw.csv{packing}"
    with PACKINGS[packing](file, "wb") as out:
        out.write(text.getvalue().encode())
    to = rest(file, RawKind("csv", {"header": header}, ("n", "id")), who)
    with PACKINGS[packing](to, "rb") as left:
        again = list(csv.reader(io.StringIO(left.read().decode(), newline="")))
    assert [tuple(row) for row in again[header:]] == [row for row in rows if row[1] != who.value]


@pytest.mark.parametrize("shape", ["lines", "array", "pretty", "one after the other"])
@many
@given(values=ids, data=st.data())
def test_json(tmp_path, shape, values, data):
    who = Person("id", data.draw(st.sampled_from(values)))
    rows = [
        {"n": place, "deep": {"by": [{"id": value}, None]}} if place % 2 else {"n": place, "id": value}
        for place, value in enumerate(values)
    ]
    text = {
        "lines": "".join(json.dumps(row) + "\n" for row in rows), "array": json.dumps(rows), "pretty": json.dumps(rows, indent=2) + "\n",
        "one after the other": " ".join(json.dumps(row, ensure_ascii=False) for row in rows),
    }[shape]  # fmt: skip
    file = tmp_path / "raw.json"
    file.write_text(text, encoding="utf-8", newline="")
    left = rest(file, RawKind("json", {}), who).read_text(encoding="utf-8")
    if shape in ("array", "pretty"):
        again = json.loads(left)
    else:
        decoder, again = json.JSONDecoder(), []
        while left := left.strip():
            row, end = decoder.raw_decode(left)
            again.append(row)
            left = left[end:]
    assert again == [row for row in rows if (row["id"] if "id" in row else row["deep"]["by"][0]["id"]) != who.value]


@pytest.mark.parametrize("path", ["data.items", "", "data"])
@pytest.mark.parametrize("indent", [None, 2])
@many
@given(values=ids, data=st.data())
def test_json_whose_rows_lie_deeper(tmp_path, path, indent, values, data):
    who = Person("id", data.draw(st.sampled_from(values)))
    rows = [{"n": place, "by": [{"id": value}]} if place % 2 else {"n": place, "id": value} for place, value in enumerate(values)]
    whole: object = rows
    for key in reversed([part for part in path.split(".") if part]):
        whole = {"page": who.value, key: whole, "next": {"n": len(rows)}}
    file = tmp_path / "raw.json"
    file.write_text("\ufeff" * data.draw(st.booleans()) + json.dumps(whole, indent=indent), encoding="utf-8", newline="")
    left = rest(file, RawKind("json", {"records": path}, (), partial(row_spans, path=path, name="raw.json")), who)
    again = json.loads(left.read_text(encoding="utf-8-sig"))
    for key in [part for part in path.split(".") if part]:
        assert (again["page"], again["next"]) == (who.value, {"n": len(rows)})
        again = again[key]
    assert again == [row for row in rows if (row["id"] if "id" in row else row["by"][0]["id"]) != who.value]


def test_a_subject_beside_the_rows_of_a_document_is_an_error(tmp_path):
    (tmp_path / "raw.json").write_text('{"asked": {"id": "Ann"}, "items": [{"id": "Ann"}, {"id": "Bob"}]}')
    kind = RawKind("json", {"records": "items"}, (), partial(row_spans, path="items", name="raw.json"))
    with pytest.raises(NotThere, match="outside of its rows"):
        erased.count_subject_rows(tmp_path / "raw.json", kind, "id", Person("id", "Ann").raw("string"))
    assert (
        rest(tmp_path / "raw.json", kind, Person("id", "Bob")).read_text() == '{"asked": {"id": "Ann"}, "items": [{"id": "Ann"}]}'
    )
    (tmp_path / "object.json").write_text('{"id": "Ann"}')
    kind = RawKind("json", {"records": ""}, (), partial(row_spans, path="", name="object.json"))
    assert erased.count_subject_rows(tmp_path / "object.json", kind, "id", Person("id", "Ann").raw("string")) == 1


def columns(values: list[str]) -> dict[str, pa.Array]:
    """Return the values as every kind of Parquet column that can hold them."""
    text = pa.array(values)
    return {
        "plain": text, "dictionary": text.dictionary_encode(), "large": text.cast(pa.large_string()), "view": text.cast(pa.string_view()),
        "octets": pa.array([value.encode() for value in values]), "list": pa.array([["x", value] for value in values]),
        "struct": pa.array([{"id": value} for value in values]), "map": pa.array([[("k", value)] for value in values], pa.map_(pa.string(), pa.string())),
        "list of structs": pa.array([[{"a": 1, "id": value}] for value in values]),
    }  # fmt: skip


@pytest.mark.parametrize("name", columns(["x"]))
@settings(many, max_examples=12)
@given(values=ids, data=st.data())
def test_parquet(tmp_path, name, values, data):
    who = Person("id", data.draw(st.sampled_from(values)))
    table = pa.table({"n": range(len(values)), "id": columns(values)[name]})
    pq.write_table(table, tmp_path / "raw.parquet")
    left = pq.read_table(rest(tmp_path / "raw.parquet", RawKind("parquet", {}), who))
    assert left.schema == pq.read_table(tmp_path / "raw.parquet").schema
    assert left.column("n").to_pylist() == [place for place, value in enumerate(values) if value != who.value]


@pytest.mark.parametrize("kind", ["dictionary", "ordered", "struct", "list", "large list"])
def test_a_dictionary_forgets_whom_no_row_has(tmp_path, kind):
    names = pa.array(["Zoe Zander", "Ann Ahlgren", None, "Ann Ahlgren", "Bob Bergen"])
    coded = {"ordered": names.cast(pa.dictionary(pa.int8(), pa.string(), ordered=True))}.get(kind, names.dictionary_encode())
    missing = pa.array([False, False, False, True, False])
    column = {
        "struct": lambda: pa.StructArray.from_arrays([coded, names], ["id", "again"], mask=missing),
        "list": lambda: pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4, 5], pa.int32()), coded),
        "large list": lambda: pa.LargeListArray.from_arrays(pa.array([0, 1, 2, 3, 4, 5], pa.int64()), coded),
    }.get(kind, lambda: coded)()  # fmt: skip
    whole = pa.table({"n": range(5), "id": column})
    pq.write_table(whole, tmp_path / "raw.parquet")
    for name, n in (("Zoe Zander", 0), ("Ann Ahlgren", 1)):
        file = rest(tmp_path / "raw.parquet", RawKind("parquet", {}), Person("id", name))
        left = pq.read_table(file)
        assert left.schema == whole.schema
        others = [row for row in whole.to_pylist() if name not in str(row["id"])]
        assert n not in [row["n"] for row in others]
        assert left.to_pylist() == others
        assert name.encode() not in file.read_bytes()


def test_a_dictionary_that_cannot_be_made_anew_is_an_error(tmp_path):
    coded = pa.array(["Ann", "Bob"]).dictionary_encode()
    column = pa.MapArray.from_arrays(pa.array([0, 1, 2], pa.int32()), pa.array(["id", "id"]), coded)
    pq.write_table(pa.table({"n": range(2), "id": column}), tmp_path / "raw.parquet")
    if erased._has_dictionary(pq.read_schema(tmp_path / "raw.parquet").field("id").type):
        with pytest.raises(NotThere):
            erased.without(
                tmp_path / "raw.parquet", tmp_path / "new.parquet", RawKind("parquet", {}), "id", Person("id", "Ann").is_it
            )


def test_a_field_within_another_column_is_searched(tmp_path):
    pq.write_table(pa.table({"n": [1, 2], "order": [{"id": "a", "x": 1}, {"id": "b", "x": 2}]}), tmp_path / "raw.parquet")
    assert pq.read_table(rest(tmp_path / "raw.parquet", RawKind("parquet", {}), Person("id", "b"))).column("n").to_pylist() == [1]


@settings(many, max_examples=12)
@given(values=ids, data=st.data())
def test_avro(tmp_path, values, data):
    who = Person("id", data.draw(st.sampled_from(values)))
    fields = [{"name": "n", "type": "long"}, {"name": "id", "type": ["null", "string"]}]
    rows = [{"n": place, "id": value} for place, value in enumerate(values)]
    with (tmp_path / "raw.avro").open("wb") as out:
        fastavro.writer(out, {"type": "record", "name": "row", "fields": fields}, rows, codec="deflate")
    with rest(tmp_path / "raw.avro", RawKind("avro", {}), who).open("rb") as left:
        assert list(fastavro.reader(left)) == [row for row in rows if row["id"] != who.value]


def test_fixed_width(tmp_path):
    (tmp_path / "raw.fwf").write_text("007 Ann\n7   Bob\n70  Cid\n")
    kind = RawKind("fixed_width", {"columns": {"id": (1, 4), "name": (5, 7)}})
    assert rest(tmp_path / "raw.fwf", kind, Person("id", "7")).read_text() == "007 Ann\n70  Cid\n"
    assert rest(tmp_path / "raw.fwf", kind, Person("id", "7"), "long").read_text() == "70  Cid\n"


def test_text_that_is_read_as_numbers_is_compared_exactly_as_numbers(tmp_path):
    (tmp_path / "raw.csv").write_text("id,n\n" + "".join(f"{value},{n}\n" for n, value in enumerate(NEIGHBOURS[:15])))
    left = {
        value: [int(line.rpartition(",")[2]) for line in rest(tmp_path / "raw.csv", RawKind("csv", {}), Person("id", value), type).read_text().splitlines()[1:]]
        for value, type in (("7", "long"), ("1234567890123456789", "decimal(38,0)"), ("1000", "long"))
    }  # fmt: skip
    gone = {value: [NEIGHBOURS[n] for n in range(15) if n not in kept] for value, kept in left.items()}
    assert gone == {
        "7": ["007", "7", "7.0", "7e0", "07", " 7", "7 "],
        "1234567890123456789": ["1234567890123456789"],
        "1000": ["1e3", "1000"],
    }


def test_text_whose_quotes_are_not_closed_hides_nobody(tmp_path):
    (tmp_path / "raw.csv").write_text('id,text\n1,"open\n2,b\n3,c\n')
    assert rest(tmp_path / "raw.csv", RawKind("csv", {}), Person("id", "2")).read_text() == 'id,text\n1,"open\n3,c\n'


@pytest.mark.parametrize(("text", "format"), [('{"id": "Ann"}\n{"id": "Ann", oops\n', "json"), ("x", "excel")])
def test_what_cannot_be_told_is_an_error(tmp_path, text, format):
    (tmp_path / "raw.txt").write_text(text)
    with pytest.raises(NotThere):
        erased.count_subject_rows(tmp_path / "raw.txt", RawKind(format, {}), "id", Person("id", "Ann").raw("string"))


NUMBERS = {
    "long": [1234567890123456789, 1234567890123456788, 7, -7, None],
    "decimal": [Decimal("1.10"), Decimal("1.1"), Decimal("1.11"), Decimal("12345678901234567890123456789.01"), None],
    "double": [0.1, 0.30000000000000004, 0.3, float("nan"), float("inf"), None],
    "bool": [True, False, None],
}


@pytest.mark.parametrize(
    ("values", "text", "mine"),
    [
        (NUMBERS["long"], "1234567890123456789", [0]), (NUMBERS["long"], "7.0", [2]), (NUMBERS["decimal"], "1.1", [0, 1]),
        (NUMBERS["decimal"], "12345678901234567890123456789.01", [3]), (NUMBERS["double"], "0.3", [2]), (NUMBERS["double"], "nan", []),
        (NUMBERS["bool"], "1", []), (NUMBERS["bool"], "true", [0]), (pa.array([0.1, 0.2], pa.float32()), "0.1", [0]),
        (pd.to_datetime(["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"]).as_unit("us"), "2024-01-01T02:00:00+01:00", [1]),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]).date, "2024-01-02", [1]),
        (pa.array(["a" * 16, "b" * 16], pa.string()), "b" * 16, [1]),
        ([b"\x00\xff", b"\xff"], "0xff", [1]), ([b"\x00" * 16, b"\x01" * 16], "01010101-0101-0101-0101-010101010101", [1]),
    ],
)  # fmt: skip
def test_values_are_compared_by_their_type(values, text, mine):
    column = values if isinstance(values, pa.Array) else pa.array(values)
    mask = erased.array_mask(column, "id", {"id"}, Person("id", text).is_it)
    assert [place for place, is_mine in enumerate(mask.to_pylist()) if is_mine] == mine


@pytest.mark.parametrize("value", NEIGHBOURS)
def test_text_of_tables_is_compared_letter_by_letter(value):
    mask = erased.array_mask(pa.array(NEIGHBOURS), "id", {"id"}, Person("id", value).is_it)
    assert [other for other, is_mine in zip(NEIGHBOURS, mask.to_pylist(), strict=True) if is_mine] == [value]


def test_a_column_of_doubles_does_not_tell_ids_of_nineteen_digits_apart():
    assert [Person("id", "1234567890123456789").is_exact_in(kind) for kind in ("long", "double", "string", None)] == [
        True,
        False,
        True,
        True,
    ]
    assert Person("id", "17850").is_exact_in("double")


def test_records_of_erasures_know_a_subject_again():
    digests = [Person("id", text).digest("salt") for text in ("17850", "17850.0", " 17850", "017850", "1785e1", "Ann", "ann")]
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == 5
