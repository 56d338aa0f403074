"""Exactly one subject's rows go, from every place that holds rows: a home is made once, and Hypothesis draws who is erased from a copy of it.

Each row has a number ``n``. Who bears which identity is known from how the files were written, so what must be left is known without
caudal: it is compared with what other readers (csv, json, pyarrow) find in every file below the home.
``CAUDAL_EXAMPLES`` says how many subjects of each type are erased.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from openpyxl import Workbook, load_workbook
from typer.testing import CliRunner

from caudal.batch.batch import run
from caudal.cli import app as _commands  # noqa: F401 - all commands, not only those of one module
from caudal.cli.app import app
from caudal.declarations.settings import Settings
from caudal.governance.erase import erase
from caudal.ledger.records import erasures
from caudal.messaging.log import Writer
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small")]
EXAMPLES = int(os.environ.get("CAUDAL_EXAMPLES", "1"))

PRODUCT = '''
"""People, known by identities of six types, in files of five formats."""
from functools import reduce

from sklearn.linear_model import Ridge

import caudal as cd
from caudal import expect as ex

ROWS = cd.schema(
    n=cd.column("long", nullable=False), name="string", user="long", money="decimal(22,4)", born="date", seen="timestamp_utc", ratio="double",
    at=cd.column("timestamp", nullable=False), value="double",
)
product = cd.Product("people")
for name, pattern in (("commas", "*.csv"), ("lines", "*.jsonl"), ("coded", "*.parquet"), ("sheets", "*.xlsx"), ("zipped", "*.zip")):
    product.source(name, cd.files(pattern), schema=ROWS, event_time="at", partition="day", expect=[ex.between("value", -1000, 1000).quarantine()])

@product.table(event_time="at", partition="day", expect=[ex.between("value", 0, 100).quarantine(max_share=0.9)])
def everyone(commas, lines, coded, sheets, zipped):
    """All rows, under other names too."""
    rows = reduce(lambda one, other: one.unionByName(other), [commas, lines, coded, sheets, zipped])
    return rows.withColumnRenamed("user", "member").withColumnRenamed("name", "called").drop("_file", "_row")

@product.features(entity="n", as_of="at", labels=["value"], partition="day")
def known(everyone):
    """What is known of a row."""
    return cd.calendar(everyone.select("n", "member", "at", "value"), "at", ["hour"])

guess = product.model("guess", features=known, label="value", candidates={"ridge": Ridge()}, split=cd.temporal(test="1 day", folds=1), gates=[])
product.predict(guess)
for column in ("name", "user", "money", "born", "seen", "ratio"):
    product.subject(column)
'''

IDENTITIES: Mapping[str, list[Any]] = {
    "name": [
        'Jo "Ace"', 'Jo "Ace', "007", "7", "7.0", "1E5", "100000", "\u00c5sa Lind", "A\u030asa Lind", "\u0410nn Smith", "Ann Smith", "ann smith",
        "Ann Smith\u00a0", "O'Brien, Pat", "50% \\ off", "Line\u2028break", "0x41", "nan",
    ],
    "user": [1234567890123456789, 1234567890123456788, 1234567890123456700, -1234567890123456789, 9007199254740993, 9007199254740992, 7],
    "money": [Decimal(text) for text in ("123456789012345678.9012", "123456789012345678.9011", "123456789012345679.0000", "0.1000", "1.0000")],
    "born": [dt.date(1, 1, 1), dt.date(1899, 12, 31), dt.date(1980, 2, 29), dt.date(1980, 3, 1), dt.date(9999, 12, 31)],
    "seen": [dt.datetime.fromisoformat(text) for text in (
        "1980-02-29T00:00:00+00:00", "2024-03-31T01:30:00.000001+00:00", "2024-03-31T01:30:00.000002+00:00", "2024-03-31T02:30:00.000001+00:00")],
    "ratio": [0.1, 0.30000000000000004, 0.3, -0.0625, 1e-300, 123456.7890625],
}  # fmt: skip
"""Of each type: each has a neighbour that it is taken for by whoever compares by floats, in another case, trimmed, normalised, or as text."""
ROWS_OF_EACH = 40
SOURCES = {"commas": "csv", "lines": "jsonl", "coded": "parquet", "sheets": "xlsx", "zipped": "zip"}
FIELDS = ("n", *IDENTITIES, "at", "value")


def people() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each source: every identity is in each of them, on several days, set aside and not."""
    made: dict[str, list[dict[str, Any]]] = {}
    for place, source in enumerate(SOURCES):
        made[source] = []
        for turn in range(ROWS_OF_EACH):
            row: dict[str, Any] = {"n": 1000 * (place + 1) + turn}
            row |= {column: some[(turn * (1 + (column != "name")) + place) % len(some)] for column, some in IDENTITIES.items()}
            row["at"] = dt.datetime(2024, 5, 1 + turn % 3, turn % 24)
            # Kept twice, set aside by the table, set aside by the source.
            row["value"] = (turn * 7.0 % 90, turn * 7.0 % 90, 500.0, 5000.0)[turn // 3 % 4]
            made[source].append(row)
    return made


def text_of(value: object) -> str:
    return value.isoformat(" ") if isinstance(value, dt.datetime) else str(value)


def commas(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([FIELDS, *([text_of(row[name]) for name in FIELDS] for row in rows)])
    return out.getvalue().encode()


def write(folder: Path, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write two files of each source."""
    for source, ending in SOURCES.items():
        for half in (0, 1):
            some, file = rows[source][half::2], folder / f"{source}{half}.{ending}"
            if ending == "xlsx":  # a cell that is a number is a double, so identities are text
                book = Workbook()
                for cells in (FIELDS, *([text_of(row[name]) for name in FIELDS] for row in some)):
                    book.active.append(cells)
                book.save(file)
            elif ending == "zip":
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                    for member, part in (("a.csv", some[::2]), ("deep/b.csv", some[1::2])):
                        archive.writestr(member, commas(part))
            elif ending == "csv":
                file.write_bytes(commas(some))
            elif ending == "jsonl":
                with file.open("w", encoding="utf-8") as out:
                    for row in some:
                        plain = {name: text_of(row[name]) for name in ("born", "seen", "at")}
                        line = json.dumps(row | plain | {"money": "_money_"}, ensure_ascii=bool(row["n"] % 2))
                        out.write(line.replace('"_money_"', str(row["money"])) + "\n")
            else:
                table = pa.Table.from_pylist(some).select(list(FIELDS))
                table = table.set_column(1, "name", table.column("name").combine_chunks().dictionary_encode())
                pq.write_table(table, file, row_group_size=7)


class Made:
    """A home in which the rows were run."""

    def __init__(self, product: Path, settings: Settings, rows: list[dict[str, Any]]) -> None:
        self.product, self.settings, self.rows = product, settings, rows

    def __repr__(self) -> str:
        return "the home"  # Hypothesis shows what a test is given


@pytest.fixture(scope="module")
def made(tmp_path_factory, spark) -> Made:
    place = tmp_path_factory.mktemp("people")
    (place / "data").mkdir()
    (place / "product").mkdir()
    (place / "product" / "product.py").write_text(PRODUCT)
    rows = people()
    write(place / "data", rows)
    chosen = Settings(home=place / "home", data=place / "data", cores=2, memory="1g")
    assert run(place / "product", chosen).error is None
    return Made(place / "product", chosen, [row for some in rows.values() for row in some])


def tables(home: Home) -> Iterator[tuple[str, pa.Table]]:
    """Yield the newest version of every table, those of quarantined rows too."""
    for folder in sorted({log.parent for log in home.path.rglob("_delta_log")}):
        yield folder.relative_to(home.path).as_posix(), arrow(delta.read_version(folder))


def numbers(table: pa.Table) -> list[int]:
    """Return the numbers of a table's rows; of rows that were set aside before they were read, from their text."""
    if "n" in table.column_names:
        return sorted(one for one in table.column("n").to_pylist() if one is not None)
    return []


def raw_rows(home: Home) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the row of everything in the raw store, by other readers."""
    for file in sorted((home.path / "raw").rglob("*.*")):
        if file.suffix == ".xlsx":
            header, *some = load_workbook(file).active.iter_rows(values_only=True)
            rows = (dict(zip(header, cells, strict=True)) for cells in some if any(cell is not None for cell in cells))
            yield from ((int(row["n"]), row) for row in rows)
        elif file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    text = archive.read(member).decode()
                    yield from ((int(row["n"]), row) for row in csv.DictReader(io.StringIO(text, newline="")))
        elif file.suffix == ".csv":
            text = file.read_text("utf-8")
            yield from ((int(row["n"]), row) for row in csv.DictReader(io.StringIO(text, newline="")))
        elif file.suffix == ".jsonl":
            lines = file.read_text("utf-8").split("\n")
            yield from ((row["n"], row) for row in (json.loads(line, parse_float=Decimal) for line in lines if line))
        elif file.suffix == ".parquet":
            yield from ((row["n"], row) for row in pq.read_table(file).to_pylist())


def traces(value: object) -> set[bytes]:
    """Return how a value may lie in a file: as text, escaped by JSON, as octets of a number; none of those that may be anything's."""
    text = text_of(value)
    forms = {text.encode(), json.dumps(text)[1:-1].encode(), json.dumps(json.dumps(text))[3:-3].encode()}
    if isinstance(value, dt.datetime):
        forms |= {value.isoformat().encode(), value.replace(tzinfo=None).isoformat(" ").encode()}
    if isinstance(value, int) and abs(value) > 1 << 40:
        forms |= {struct.pack("<q", value), struct.pack(">q", value)}
    if isinstance(value, float):
        forms |= {struct.pack("<d", value)}
    return {form for form in forms if len(form) >= 6}


def told_apart(value: object, column: str, spared: list[dict[str, Any]]) -> set[bytes]:
    """Return the traces that are not part of what somebody else's rows hold."""
    others = {form for row in spared for name in FIELDS for form in (*traces(row[name]), text_of(row[name]).encode())}
    others |= {str(int(float(row["user"]))).encode() for row in spared}  # a model keeps a median of theirs, as a double
    return {form for form in traces(value) if not any(form in other for other in others)}


@pytest.mark.parametrize("column", IDENTITIES)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(turn=st.integers(0, 1000))
def test_exactly_the_rows_of_one_subject_go_from_every_place(made, tmp_path_factory, column, turn):
    value = IDENTITIES[column][turn % len(IDENTITIES[column])]
    place = tmp_path_factory.mktemp("copy") / "home"
    shutil.copytree(made.settings.home, place)
    chosen, home = Settings(home=place, data=made.settings.data, cores=2, memory="1g"), Home(place)
    mine = {row["n"] for row in made.rows if row[column] == value}
    before = {name: numbers(table) for name, table in tables(home)}
    raw_before = dict(raw_rows(home))
    assert sorted(raw_before) == sorted(row["n"] for row in made.rows)

    proof = erase(made.product, chosen, f"{column}={text_of(value)}", yes=True)

    assert proof["done"], proof["after"]
    assert proof["before"]["rows"]["raw"] == len(mine)
    after = dict(tables(home))
    for name, held in before.items():
        assert numbers(after[name]) == [n for n in held if n not in mine], name
    raw_after = dict(raw_rows(home))
    assert raw_after == {n: row for n, row in raw_before.items() if n not in mine}
    for table in (*SOURCES, "everyone", *(["known"] if column == "user" else [])):  # those that bear the column, under any name
        for file in (file for folder in ("lake", "raw") for file in (place / folder).rglob(f"{table}/**/*.parquet")):
            held = numbers(pq.read_table(file, partitioning=None))
            assert mine.isdisjoint(held), f"{file} still holds rows of the subject"
    forms = told_apart(value, column, [row for row in made.rows if row["n"] not in mine])
    contents = {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()}
    for file in filter(zipfile.is_zipfile, place.rglob("*")):
        with zipfile.ZipFile(file) as archive:
            contents |= {f"{file.relative_to(place)}/{part}": archive.read(part) for part in archive.namelist()}
    assert not {(file, form) for file, content in contents.items() for form in forms if form in content}
    shutil.rmtree(place.parent)


UNSEARCHED = '''
"""People in files that an erasure writes anew, in files that it searches and cannot write, and in files that it cannot search."""
import caudal as cd

product = cd.Product("kept")
product.source("plain", cd.files("*.csv"), schema=cd.schema(name="string", score="double"))
product.source("sheets", cd.files("book*.xlsx"), schema=cd.schema(name="string"))
product.source("packed", cd.files("packed*.zip"), schema=cd.schema(name="string"))
product.source("asked", cd.files("*.json", records="items"), schema=cd.schema(name="string"))
product.source("linked", cd.files("linked*.xlsx"), schema=cd.schema(name="string"))
product.source("scans", cd.files("scans*.zip"), schema=cd.schema(name="string"))
product.source("births", cd.files("births*.txt", format="csv", date_format="dd/MM/yyyy"), schema=cd.schema(born="date"))
samples = product.source("samples", cd.stream(channels=["x"], wire="json"))
product.subject("name")
product.subject("score")
product.subject("born")
product.subject("device")
'''


@pytest.fixture
def kept(tmp_path: Path, spark) -> list[str]:
    """The words of an erasure in a home in which such files were run."""
    data, product = tmp_path / "data", tmp_path / "product"
    data.mkdir()
    product.mkdir()
    (product / "product.py").write_text(UNSEARCHED)
    (data / "births.txt").write_text("born\n31/12/2024\n01/02/2000\n")
    (data / "plain.csv").write_text("name,score\nAnn Ahlgren,1\nBob,2\n")
    for file in ("book.xlsx", "linked.xlsx"):
        book = Workbook()
        for name in ("name", "Ann Ahlgren", "Bob"):
            book.active.append([name])
        if file == "linked.xlsx":
            book.active["A2"].hyperlink = "mailto:ann@example.org"
        book.save(data / file)
    for file, more in (("packed.zip", "more.csv"), ("scans.zip", "scan.pdf")):
        with zipfile.ZipFile(data / file, "w") as archive:
            archive.writestr("inner.csv", "name\nAnn Ahlgren\nBob\n")
            archive.writestr(more, "name\nCy\n")
    (data / "answer.json").write_text('{"asked": {"name": "Ann Ahlgren"}, "items": [{"name": "Ann Ahlgren"}, {"name": "Bob"}]}')
    settings = Settings(home=tmp_path / "home", data=data, cores=2, memory="1g")
    messages = [
        f'{{"device":{device},"seq":{n},"at":"2026-01-05T08:00:0{n}Z","values":[1.5]}}' for n in range(3) for device in (7, 70)
    ]
    with Writer(Home(settings.home).stream("kept", "samples"), 1) as log:
        log.append(0, [message.encode() for message in messages])
    assert run(product, settings).error is None
    return ["erase", str(product), "--home", str(settings.home), "--data", str(data), "--subject"]


@pytest.mark.parametrize("yes", [True, False])
def test_what_cannot_be_searched_or_written_is_named_and_fails(tmp_path, kept, yes):
    result = CliRunner().invoke(app, [*kept, "name=Ann Ahlgren", *(["--yes"] if yes else [])])

    assert result.exit_code == 5
    said = " ".join((result.stdout + result.stderr).split())
    assert "2 places could not be searched" in said
    assert "1 place cannot be written without the subject's rows, which stay" in said
    for words in (
        "answer.json",
        "scans.zip): its member 'scan.pdf'",
        "(linked.xlsx) holds 1 row of the subject: row 2 of its sheet 'Sheet'",
    ):
        assert words in said
    assert "(book.xlsx) holds" not in said
    assert "(packed.zip) holds" not in said
    raw = {name: list((tmp_path / "home" / "raw").rglob(f"{name}/*/*")) for name in ("plain", "sheets", "packed", "linked")}
    (plain,), (book,), (packed,), (linked,) = raw.values()
    assert plain.read_text() == ("name,score\nBob,2\n" if yes else "name,score\nAnn Ahlgren,1\nBob,2\n")
    with zipfile.ZipFile(packed) as archive:
        assert archive.read("inner.csv") == (b"name\nBob\n" if yes else b"name\nAnn Ahlgren\nBob\n")
        assert archive.read("more.csv") == b"name\nCy\n"
    for file, hers in ((book, not yes), (linked, True)):
        with zipfile.ZipFile(file) as archive:
            assert any(b"Ann Ahlgren" in archive.read(part) for part in archive.namelist()) == hers
    home = Home(tmp_path / "home")
    if yes:
        rows = {
            name: arrow(delta.read_version(home.table("kept", name))).column("name").to_pylist() for name in ("sheets", "packed")
        }
        assert {name: sorted(some) for name, some in rows.items()} == {"sheets": ["Bob"], "packed": ["Bob", "Cy"]}
    assert not list((tmp_path / "home").rglob("*tried*"))
    ledger = home.ledger()
    assert [row["state"] for row in ledger.find(erasures)] == (["running"] if yes else [])  # not done
    ledger.close()
    result = CliRunner().invoke(app, [*kept, "score=1234567890123456789"])  # a double is that of hundreds of such numbers
    assert result.exit_code == 5
    assert "plain: its column is a double" in " ".join((result.stdout + result.stderr).split())
    result = CliRunner().invoke(app, [*kept, "born=2024-12-31"])
    assert result.exit_code == 5
    assert "raw files of births: their born is written as 'dd/MM/yyyy'" in " ".join((result.stdout + result.stderr).split())


def test_samples_of_a_subject_in_the_log_of_a_stream_are_counted_and_stay(tmp_path, kept):
    log = {file: file.read_bytes() for file in Home(tmp_path / "home").stream("kept", "samples").rglob("*.data")}
    for words in ([], ["--yes"]):
        result = CliRunner().invoke(app, [*kept, "device=7", *words])
        said = " ".join((result.stdout + result.stderr).split())
        assert result.exit_code == 5, said
        assert "the log of samples holds 3 rows of the subject" in said
        assert "could not be searched" not in said
    assert {file: file.read_bytes() for file in log} == log
    rows = arrow(delta.read_version(Home(tmp_path / "home").table("kept", "samples")))
    assert set(rows.column("device").to_pylist()) == {70}
    nobody = CliRunner().invoke(app, [*kept, "device=8"])
    assert nobody.exit_code == 0, nobody.stdout + nobody.stderr
