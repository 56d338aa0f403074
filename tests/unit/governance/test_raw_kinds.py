"""A subject's rows go from workbooks, archives and packed files, exactly they; what cannot be written without them says so and is left."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import time
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment

import caudal as cd
from caudal.errors import NotThere, SourceProblem
from caudal.governance.identity import Person
from caudal.governance.raw_kinds import raw_kind, without_subject
from caudal.tables import erased

ANN = Person("name", "Ann Ahlgren")
NEIGHBOURS = [
    "Ann Ahlgren",
    "ann ahlgren",
    "Ann Ahlgren ",
    "Bob",
    "007",
    "7",
    "7.0",
    "1E5",
    "100000",
    "O'Brien, Pat",
    "Å",
    "A\u030a",
    "true",
    "a & <b>",
]
ids = st.lists(st.sampled_from(NEIGHBOURS), min_size=1, max_size=8)
many = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


def source(**options: Any) -> Any:
    return cd.Product("p").source("s", cd.files("*", **options), schema=cd.schema(name="string", n="long"))


def rest(file: Path, who: Person = ANN, type: str = "string", **options: Any) -> tuple[int, int, Path]:
    """Return how many rows went from a file, how many stay, and the file without them."""
    kind = raw_kind(source(**options), {"kind": "data", "path": file.name}, file.parent / "room")
    count = erased.count_subject_rows(file, kind, who.column, who.raw(type))
    to = file.with_name(f"rest{''.join(file.suffixes)}")
    gone, kept = without_subject(file, to, kind, [("n", lambda _: False), (who.column, who.raw(type))])
    assert gone == count
    assert list((file.parent / "room").glob("*")) == []
    assert sorted(left.name for left in file.parent.glob("rest*")) == [to.name]
    if kept:
        assert erased.count_subject_rows(to, kind, who.column, who.raw(type)) == 0
    return gone, kept, to


def book(file: Path, rows: Sequence[Sequence[Any]], **others: Sequence[Sequence[Any]]) -> Path:
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(list(row))
    for name, more in others.items():
        page = made.create_sheet(name)
        for row in more:
            page.append(list(row))
    made.save(file)
    return file


def changed(file: Path, change: Any) -> Path:
    made = openpyxl.load_workbook(file)
    change(made)
    made.save(file)
    return file


def cells(file: Path, sheet: str | None = None) -> list[tuple[Any, ...]]:
    """Return a sheet's rows that hold something, by another reader."""
    page = openpyxl.load_workbook(file)
    rows = (page[sheet] if sheet else page.active).iter_rows(values_only=True)
    return [row for row in rows if any(cell is not None for cell in row)]


def texts(package: Path) -> bytes:
    with zipfile.ZipFile(package) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


HEADER = ("n", "Name", "born", "share", "paid")
PEOPLE = [
    (1, "Ann Ahlgren", dt.datetime(1980, 2, 29), 0.1, True),
    (2, "Bob", dt.datetime(1999, 12, 31, 23, 59, 59), 1 / 3, False),
    (3, "Ann Ahlgren", None, 1e-300, None),
    (4, "ann ahlgren", dt.datetime(1980, 2, 29), 123456.7890625, True),
]


def test_rows_go_from_each_sheet_of_a_workbook_and_all_else_stays(tmp_path: Path) -> None:
    notes = [("name", "note"), ("Bob", "calls back"), ("Ann Ahlgren", "moved to Oslo")]
    file = book(tmp_path / "b.xlsx", [HEADER, *PEOPLE], Notes=notes, Other=[("x",), (5,)])
    gone, kept, to = rest(file)
    assert (gone, kept) == (3, 2)  # of those that are read: the first sheet's
    assert cells(to) == [HEADER, PEOPLE[1], PEOPLE[3]]
    assert cells(to, "Notes") == notes[:2]
    assert cells(to, "Other") == [("x",), (5,)]
    assert b"Ann Ahlgren" not in texts(to)
    assert b"Oslo" not in texts(to)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(to) as new:
        assert new.read("docProps/core.xml") == old.read("docProps/core.xml")
    content = to.read_bytes()
    time.sleep(2.1)  # the times in a zip file are of two seconds
    assert rest(file)[2].read_bytes() == content


def test_a_workbook_without_the_subject_keeps_its_bytes(tmp_path: Path) -> None:
    file = book(tmp_path / "b.xlsx", [HEADER, PEOPLE[1]])
    gone, _, to = rest(file)
    assert gone == 0
    assert to.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("who", "type", "options", "rows", "left"),
    [
        (Person("n", "7"), "long", {}, [("n",), (7,), ("007",), (70,)], [("n",), (70,)]),
        (Person("n", "1.5"), "double", {"decimal": ","}, [("n",), (1.5,), ("1,5",), (15,)], [("n",), (15,)]),
        (Person("day", "2024-03-01"), "date", {}, [("day",), (dt.datetime(2024, 3, 1),), (dt.datetime(2024, 3, 2),)], [("day",), (dt.datetime(2024, 3, 2),)]),
        (Person("name", "Bob"), "string", {"header": 2}, [("title",), ("name",), ("Bob",), ("Cy",)], [("title",), ("name",), ("Cy",)]),
        (Person("name", "Bob"), "string", {"header": False}, [("Bob", 1), ("Cy", 2)], [("Cy", 2)]),
    ],
)  # fmt: skip
def test_cells_are_compared_as_they_are_read(
    tmp_path: Path, who: Person, type: str, options: dict[str, Any], rows: Any, left: Any
) -> None:
    _, kept, to = rest(book(tmp_path / "b.xlsx", rows), who, type, **options)
    assert kept == 1
    assert cells(to) == left


def merged(made: Any) -> None:
    made.active.merge_cells("B2:C2")


def linked(made: Any) -> None:
    made.active["B2"].hyperlink = "mailto:ann@example.org"


def commented(made: Any) -> None:
    made.active["B2"].comment = Comment("called twice", "Bob")


def charted(made: Any) -> None:
    chart = BarChart()
    chart.add_data(Reference(made.active, min_col=1, min_row=1, max_row=3))
    made.active.add_chart(chart, "G1")


def computed(made: Any) -> None:
    made.active["F3"] = "=A3*2"


def repeated(made: Any) -> None:
    from openpyxl.worksheet.datavalidation import DataValidation

    choice = DataValidation(type="list", formula1='"Ann Ahlgren,Bob"')
    made.active.add_data_validation(choice)
    choice.add("B9")


def valued(file: Path) -> None:
    """Give the formula the value that Excel keeps beside it."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert b"<v></v>" in parts[sheet] or b"<v />" in parts[sheet] or b"<v/>" in parts[sheet]
    parts[sheet] = parts[sheet].replace(b"<v></v>", b"<v>4</v>").replace(b"<v />", b"<v>4</v>").replace(b"<v/>", b"<v>4</v>")
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (merged, "merged, linked or commented"),
        (linked, "merged, linked or commented"),
        (commented, "would be lost"),
        (charted, "its part 'xl/.*' would be lost"),
        (computed, "formulas"),
        (repeated, "its part 'xl/worksheets/sheet1.xml' repeats what the rows say"),
    ],
)
def test_a_workbook_that_would_not_stay_as_it_is_is_left(tmp_path: Path, change: Any, why: str) -> None:
    file = changed(book(tmp_path / "b.xlsx", [HEADER, *PEOPLE]), change)
    if change is computed:
        valued(file)
    with pytest.raises(NotThere, match=why):
        rest(file)
    kind = raw_kind(source(), {"kind": "data", "path": "b.xlsx"}, tmp_path / "room")
    assert erased.count_subject_rows(file, kind, "name", ANN.raw("string")) == 2


ODS = """<?xml version="1.0" encoding="UTF-8"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"><office:body>
 <office:spreadsheet><table:table table:name="S">{}</table:table></office:spreadsheet></office:body></office:document-content>"""
MANIFEST = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
ODS_ROW = '<table:table-row><table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell></table:table-row>'


def test_workbooks_of_other_kinds_are_searched_and_left(tmp_path: Path) -> None:
    file = tmp_path / "b.ods"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", MANIFEST)
        archive.writestr("content.xml", ODS.format("".join(map(ODS_ROW.format, ("name", "Ann Ahlgren", "Bob", "Ann Ahlgren")))))
    kind = raw_kind(source(), {"kind": "data", "path": "b.ods"}, tmp_path / "room")
    assert erased.count_subject_rows(file, kind, "name", ANN.raw("string")) == 2
    with pytest.raises(NotThere, match="workbooks of the kind ods can be searched, and not be written"):
        rest(file)


def lines(name: str, rows: Sequence[tuple[int, str]]) -> bytes:
    """Return rows as a file of the format that a name tells."""
    out = io.BytesIO()
    if ".csv" in name:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([("n", "name"), *rows])
        out = io.BytesIO(text.getvalue().encode())
    elif ".jsonl" in name:
        out = io.BytesIO("".join(json.dumps({"n": n, "name": value}) + "\n" for n, value in rows).encode())
    elif ".parquet" in name:
        pq.write_table(pa.table({"n": [n for n, _ in rows], "name": [value for _, value in rows]}), out)
    elif ".xlsx" in name:
        made = openpyxl.Workbook()
        for row in (("n", "name"), *rows):
            made.active.append(row)
        made.save(out)
    return gzip.compress(out.getvalue()) if name.endswith(".gz") else out.getvalue()


def taken(name: str, content: bytes) -> list[tuple[int, str]]:
    """Return the rows of such a file."""
    content = gzip.decompress(content) if name.endswith(".gz") else content
    if ".csv" in name:
        return [(int(n), value) for n, value in list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]]
    if ".jsonl" in name:
        return [(row["n"], row["name"]) for row in map(json.loads, content.decode().splitlines())]
    if ".parquet" in name:
        return [(row["n"], row["name"]) for row in pq.read_table(io.BytesIO(content)).to_pylist()]
    rows = openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(min_row=2, values_only=True)
    return [(int(n), str(value)) for n, value in rows if n is not None]


def packed(members: dict[str, bytes], file: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.comment = b"of the shop"
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 3, 1, 12, 30, 16)), content, compression)
    return file


@pytest.mark.slow
@many
@given(values=st.tuples(ids, ids, ids, ids, ids), data=st.data())
def test_exactly_the_rows_of_one_subject_go_from_each_member(tmp_path: Path, values: tuple[list[str], ...], data: Any) -> None:
    who = Person("name", data.draw(st.sampled_from([value for some in values for value in some])))
    names = ["a.csv", "deep/b.jsonl", "c.parquet", "d.xlsx", "e.csv.gz"]
    rows = {name: list(enumerate(some)) for name, some in zip(names, values, strict=True)}
    inner = packed({"a.csv": lines("a.csv", rows["a.csv"])}, tmp_path / "inner.zip").read_bytes()
    members = {name: lines(name, some) for name, some in rows.items()} | {"in.csv.zip": inner}
    gone, kept, to = rest(packed(members, tmp_path / "whole.zip"), who)
    want = {name: [row for row in some if row[1] != who.value] for name, some in rows.items()}
    assert gone == sum(len(some) - len(want[name]) for name, some in [*rows.items(), ("a.csv", rows["a.csv"])])
    assert bool(kept) == any(want.values())
    with zipfile.ZipFile(to) as archive:
        assert archive.comment == b"of the shop"
        left = {name: taken(name, archive.read(name)) for name in archive.namelist() if not name.endswith(".zip")}
        assert left == {name: some for name, some in want.items() if some}
        assert archive.namelist() == [name for name in members if want.get(name.replace("in.csv.zip", "a.csv"))]
        for member in archive.infolist():
            assert member.date_time == (2024, 3, 1, 12, 30, 16)
            if rows.get(member.filename) == want.get(member.filename, ()):
                assert archive.read(member) == members[member.filename]
        if want["a.csv"]:
            with zipfile.ZipFile(io.BytesIO(archive.read("in.csv.zip"))) as deep:
                assert taken("a.csv", deep.read("a.csv")) == want["a.csv"]


def test_members_that_no_source_reads_are_searched_too(tmp_path: Path) -> None:
    rows = [(1, "Ann Ahlgren"), (2, "Bob")]
    members = {name: lines(name, rows) for name in ("new.csv", "old.csv")} | {"__MACOSX/._new.csv": b"\0\1Ann"}
    gone, kept, to = rest(packed(members, tmp_path / "w.zip"), members="new*")
    assert (gone, kept) == (2, 1)
    with zipfile.ZipFile(to) as archive:
        assert taken("old.csv", archive.read("old.csv")) == [(2, "Bob")]
        assert archive.read("__MACOSX/._new.csv") == b"\0\1Ann"


def test_an_archive_of_whose_read_members_nothing_stays_is_read_no_more(tmp_path: Path) -> None:
    members = {"new.csv": lines("new.csv", [(1, "Ann Ahlgren")]), "old.csv": lines("old.csv", [(2, "Bob")])}
    _, kept, _ = rest(packed(members, tmp_path / "w.zip"), members="new*")
    assert kept == 0


def test_a_member_that_cannot_be_searched_is_named(tmp_path: Path) -> None:
    file = packed({"a.csv": lines("a.csv", [(1, "Bob")]), "scan.pdf": b"%PDF"}, tmp_path / "w.zip")
    with pytest.raises(NotThere, match=r"its member 'scan.pdf': The ending of"):
        rest(file)


def test_an_archive_in_archives_without_end_is_named(tmp_path: Path) -> None:
    content = lines("a.csv", [(1, "Ann Ahlgren")])
    name = "a.csv"
    for depth in range(4):
        content, name = packed({name: content}, tmp_path / f"{depth}.csv.zip").read_bytes(), f"{depth}.csv.zip"
    with pytest.raises(NotThere, match="packed 4 times over"):
        rest(tmp_path / "3.csv.zip")


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caudal.stages.ingest.limits.FREE_BYTES", 1 << 20)
    file = packed({"a.csv": b"n,name\n" + b"1,Bob\n" * 2_000_000}, tmp_path / "w.zip")
    with pytest.raises(SourceProblem, match="times its size"):
        rest(file)


# Two rows, encrypted by Info-ZIP's `zip -P swordfish`.
LOCKED = bytes.fromhex(
    "504b03040a00090000005d9f755d5bb012af150000000900000006001c006c6b2e637376555409000301f8016b01f8016b75780b000104000000000400000000e2af1d77541406d493d007aced686bef51f204f9e9504b07085bb012af1500000009000000504b01021e030a00090000005d9f755d5bb012af1500000009000000060018000000000001000000a481000000006c6b2e637376555405000301f8016b75780b000104000000000400000000504b050600000000010001004c000000650000000000"
)


def test_an_encrypted_archive_is_searched_by_its_password_and_left(tmp_path: Path) -> None:
    file = tmp_path / "locked.zip"
    file.write_bytes(LOCKED)
    with pytest.raises(NotThere, match="it is encrypted, and cannot be written so again"):
        rest(file, Person("name", "a"), password="swordfish")


def test_members_of_one_name_are_searched_and_left(tmp_path: Path) -> None:
    file = tmp_path / "w.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")
        for value in ("Ann Ahlgren", "Bob"):
            archive.writestr("a.csv", lines("a.csv", [(1, value)]))
    with pytest.raises(NotThere, match="several members of one name"):
        rest(file)


@pytest.mark.parametrize("ending", [".parquet.gz", ".xlsx.gz"])
def test_packed_files_whose_reader_needs_them_unpacked(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"raw{ending}"
    file.write_bytes(lines(file.name, [(1, "Ann Ahlgren"), (2, "Bob")]))
    gone, kept, to = rest(file)
    assert (gone, kept) == (1, 1)
    assert taken(to.name, to.read_bytes()) == [(2, "Bob")]
