"""Text files are read as kept readers read them, or their lines are in quarantine, or they are refused: no row goes and no value changes unsaid.

Files are made from a corpus of what CSV files are seen to hold and then mutated; each is compared with Python's ``csv`` (strict) and with DuckDB.
Spark reads all files of a batch in one job. ``CAUDAL_EXAMPLES`` is the number of batches, ``CAUDAL_SEED`` where they begin.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import math
import os
import random
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook, load_workbook

from caudal.declarations.format import fixed_width
from caudal.engine.choice import is_connected
from caudal.errors import EngineLacks, SourceProblem
from caudal.stages.ingest import RawFile
from caudal.stages.ingest.added_columns import name_columns
from caudal.stages.ingest.formats import csv as csv_format, excel, fixed_width as fixed_format
from caudal.stages.ingest.infer import narrowest, possible_types

BATCHES = int(os.environ.get("CAUDAL_EXAMPLES", "1"))
SEED = int(os.environ.get("CAUDAL_SEED", "13"))
FILES = 90  # a batch
seeds = pytest.mark.parametrize("seed", range(SEED, SEED + BATCHES))

Row = tuple[str | None, ...]
VALUES = (
    "", "a", "1", "x y", " ", "  lead", "trail  ", "1,5", "a;b", "tab\there", 'say "hi"', '"', '""', "it's", 'o"clock', "two\nlines", "two\r\nlines",
    "cr\ronly", "end\n", "\nbegin", "#no comment", "NULL", "\\", "a\\", '\\"', "é", "日本", "\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\ufeff", "\xa0", "=1+1",
    "0", "-", "  ", "\t", "\x01", "🎉", "x" * 3000, "a\n\nb", '"\n"', ",", ";", "|",
)  # fmt: skip
# What files are seen to hold that no writer means.
BROKEN = ('"open', 'a"b"', '"a"b', '"a" ', ' "a"', '"a""', '"""', '"a\n', '5" disk', '"x"y"z"', "\0", "a\0b")
CORPUS = (
    b"a,b\n1,2\n", b"a,b\r\n1,2\r\n", b"a,b\r1,2\r3,4\r", b"a,b\n1,2", b"a,b\n\n1,2\n\n", b"a,b\n   \n1,2\n", b"a,b\n1,2\r\n3,4\r5,6\n",
    b'a,b\n1,"x\ny"\n2,z\n', b'a,b\n1,"x\r\ny"\r\n2,z\n', b'a,b\n1,"open\n2,b\n3,c\n', b'a,b\n1,"open\n2,"b"\n3,c\n', b'a,b\n"1" ,2\n3,4\n',
    b'a,b\n1,2,3\n4\n5,6\n', b"a,b\n,\n,,\n1,\n", b"a,b\n1,2,\n3,4,\n", b"a,b\n1,2,\n3,4,5\n", b'"a","b"\n"1","2"\n', b'a,b\n"",\n"","x"\n',
    b"\xef\xbb\xbfa,b\n1,2\n", b'\xef\xbb\xbf"a",b\n1,2\n', b"a,b\n\0,1\n\0\n2,3\n", b"a,b\n\x001,2\n3,4\n", b'a,b\n"x""y",1\n"""",2\n""""""\n', b'a,b\n"a,b\n',
    b'a,b\n1,"\n"\n2,"\r"\n', b"a,b\n\xc2\x85,1\n\xe2\x80\xa8,2\n\x0b,\x0c\n", b"a,b\n 1 , 2 \n", b'a,b\n1,a"b"c\n2,5" disk\n', b"a,b\n#1,2\n", b"\n\na,b\n1,2\n",
    b'a,b\n1,"a"b"\n2,c\n', b'a,b\n"1\n2",3\n"4\n5,6\n7,8\n', b"a,b\n1,2\n\x1a", b'a,b\n1,"\n\n\n"\n',
)  # fmt: skip


def made(chance: random.Random) -> tuple[bytes, str, str]:
    """Return a file's bytes, its separator and its encoding."""
    if chance.random() < 0.15:
        return chance.choice(CORPUS), ",", "utf-8"
    separator = chance.choice(",,,,;\t|")
    width = chance.choice((2, 2, 3, 4))
    end = chance.choice(("\n", "\n", "\r\n", "\r"))
    out = io.StringIO(newline="")
    quoting = chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC))
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow("abcd"[:width])
    plain = chance.random() < 0.3
    for _ in range(chance.randrange(1, 12)):
        writer.writerow([chance.choice(VALUES[:6] if plain else VALUES) for _ in range(width)])
    text = out.getvalue()
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        at = chance.randrange(width * 2, len(text) + 1)
        signs = (*BROKEN, '"', separator, "\n", "\r", "\r\n", "", f"\n{separator}\n", "\n\n", f"1{separator}2\n", "\n \n")
        text = text[:at] + chance.choice(signs) + text[at + chance.choice((0, 0, 1, 5)) :]
    if not plain and chance.random() < 0.1:
        text = text.replace(end, f"{separator}{end}")
    encoding = chance.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "windows-1252"))
    if encoding == "windows-1252":
        text = text.encode(encoding, "ignore").decode(encoding)
    return text.encode(encoding), separator, encoding


def landed(folder: Path, content: bytes, name: str) -> RawFile:
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{sha256}{Path(name).suffix}"
    path.write_bytes(content)
    return RawFile(path, sha256, name)


def collected(spark: Any, format: Any, inspected: list[Any]) -> dict[str, list[tuple[Row, str | None]]]:
    """Return by file the rows and, where they are none, their lines: of all files in one job; without those that Sail is not given."""
    from pyspark.sql import functions as F

    groups: dict[Any, list[Any]] = {}
    for one in inspected:
        groups.setdefault(one.physical, []).append(one.file)
    frames = []
    for physical, files in groups.items():
        try:
            frame = format.frame(spark, files, physical, list(physical.columns))
        except EngineLacks:
            assert dict(physical.dialect)["trailing"] == "true"
            continue
        texts = F.array(*(f"_r{i}" for i in range(len(physical.columns))))
        line = (
            F.col("_line") if "_line" in frame.columns else F.lit(None).cast("string").alias("_line")
        )  # Sail's has it where it is needed
        frames.append(frame.select("_file", texts.alias("texts"), line))
    rows: dict[str, list[tuple[Row, str | None]]] = {}
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.union(frame)
    for row in whole.collect():
        rows.setdefault(row["_file"], []).append((tuple(row["texts"]), row["_line"]))
    return rows


def plain(row: Any) -> Row:
    """Return a row as readers agree on it: they tell an empty text from none each in its own way."""
    return tuple(value or None for value in row)


def by_csv(text: str, separator: str) -> list[list[str]] | None:
    """Return the records after the header as Python's ``csv`` reads them; None when the text is not well-formed."""
    csv.field_size_limit(1 << 30)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error:
        return None
    return [row for row in rows if row and not (len(row) == 1 and not row[0].strip(BLANK))][1:]


BLANK = "".join(map(chr, range(33)))


def by_duckdb(path: Path, separator: str, width: int) -> list[Row] | None:
    """Return the rows as DuckDB reads them, None when it refuses the file."""
    columns = {f"c{i}": "VARCHAR" for i in range(width)}
    try:
        return duckdb.execute(
            "SELECT * FROM read_csv($path, delim=$delim, quote='\"', escape='\"', header=true, columns=$columns, auto_detect=false, nullstr='')",
            {"path": str(path), "delim": separator, "columns": columns},
        ).fetchall()
    except duckdb.Error:
        return None


def header_lines(text: str, separator: str, names: Sequence[str]) -> int:
    """Return how many lines a header is written in; line ends at the ends of a name are no part of the name, and an empty one is given a name."""
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    same = len(header) == len(names) and all(
        name.strip().startswith(field.strip()) for field, name in zip(header, names, strict=True)
    )
    return 1 + sum(len(re.findall("\r\n|\n|\r", field)) for field in (header if same else names))


@pytest.mark.parametrize("each_session", [pytest.param("spark", marks=pytest.mark.slow), "sail"], indirect=True)
@seeds
def test_csv_is_read_as_csv_and_duckdb_read_it(each_session: Any, tmp_path: Path, seed: int) -> None:
    spark = each_session
    chance = random.Random(seed)
    print(f"CAUDAL_SEED={seed}")
    files: dict[str, tuple[bytes, str, str]] = {}
    inspected, refused, known, compared = [], 0, 0, Counter[str]()
    for content, separator, encoding in [*((one, ",", "utf-8") for one in CORPUS), *(made(chance) for _ in range(FILES))]:
        file = landed(tmp_path, content, "file.csv")
        if file.sha256[:16] in files:
            known += 1
            continue
        options = {"separator": separator, "encoding": encoding}
        try:
            inspected.append(csv_format.inspect(spark, file, options, (), scratch=tmp_path / "scratch"))
        except SourceProblem as problem:
            refused += "file.csv" in str(problem)  # one that does not name its file fails below
            continue
        files[file.sha256[:16]] = content, separator, encoding
    assert len(inspected) + refused + known == FILES + len(CORPUS), "each refusal names its file"
    assert refused < FILES / 2, "most files are readable"
    rows = collected(spark, csv_format, inspected)
    for one in inspected:
        if is_connected(spark) and dict(one.physical.dialect).get("trailing") == "true":
            continue
        sha = one.file.sha256[:16]
        content, separator, encoding = files[sha]
        text = content.decode(encoding).removeprefix("\ufeff")
        about = f"seed {seed}: {content!r} separated by {separator!r}; notes {one.notes}"
        good = [row for row, line in rows.get(sha, []) if line is None]
        bad = [line for _, line in rows.get(sha, []) if line is not None]
        width = len(one.physical.columns)
        indexed = "row_index" in one.physical.names
        shorter = any("left out" in note for note in one.notes)
        records = by_csv(text, separator)
        if records is not None and "\0" not in text:
            compared["csv"] += 1
            if shorter:
                records = [row[:-1] if len(row) == width + 1 and not row[-1] else [*row, "wrong"] * 9 for row in records]
            assert sorted(map(repr, map(plain, good))) == sorted(repr(plain(row)) for row in records if len(row) == width), about
            assert len(bad) >= sum(len(row) != width for row in records), about
        else:  # each line is a row, a part of one, or in quarantine
            compared["broken"] += 1
            lines = [line for line in re.split("\r\n|\n|\r", text) if line.strip(BLANK) or separator in line]
            parts = sum(1 + len(re.findall("\r\n|\n|\r", "\x02".join(value or "" for value in row))) for row in good)
            parts += sum(1 + len(re.findall("\r\n|\n|\r", line.rstrip("\r\n"))) for line in bad)
            parts += header_lines(text, separator, one.physical.names)
            assert parts >= len(lines), about
            whole = [line for line in lines[1:] if '"' not in line and line.count(separator) == width - 1]
            values = Counter(plain(line.split(separator)) for line in whole)
            inside = "\n".join([*bad, *(value for row in good for value in row if value and ("\n" in value or "\r" in value))])
            for value, number in (values - Counter(map(plain, good))).items():
                assert separator.join(part or "" for part in value) in inside, f"{about}: {number} rows {value} are lost"
        if (
            encoding in ("utf-8", "utf-8-sig")
            and not bad
            and not indexed
            and not shorter
            and "\0" not in text
            and not re.search('[ \t]"|"[ \t]', text)
            and set(re.findall("\r\n|\n|\r", text))
            != {"\r", "\r\n"}  # DuckDB takes the first of "\r" and "\r\n" for a sign of a value
        ):
            theirs = by_duckdb(tmp_path / f"{one.file.sha256}.csv", separator, width)
            if theirs is not None and len(theirs) == len(good):
                compared["duckdb"] += 1
                assert sorted(map(repr, map(plain, theirs))) == sorted(map(repr, map(plain, good))), about
    assert compared["csv"] > 20, compared
    assert compared["broken"] > 5, compared
    assert compared["duckdb"] > 10, compared


@pytest.mark.slow
def test_lines_of_fixed_width_are_cut_where_they_are_declared(spark: Any, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    layout = fixed_width({"a": 3, "b": 4, "c": (8, 9)})
    letters = 'ab1 é日\x85\u2028\x0b\x0c\xa0",;\x01\0'
    inspected, expected = [], {}
    for number in range(40 * BATCHES // 2 + 20):
        skip = chance.choice((0, 0, 1))
        lines = [
            "".join(chance.choice(letters) for _ in range(chance.choice((9, 9, 9, 5, 12)))) for _ in range(chance.randrange(1, 9))
        ]
        lines = [f"x{number:03}0000y", *lines, f"x{number:03}0000y"]
        ends = chance.choice(("\n", "\r\n", "\r"))
        encoding = chance.choice(("utf-8", "utf-8-sig", "utf-16"))
        file = landed(tmp_path, (ends.join(lines) + chance.choice(("", ends))).encode(encoding), "file.fwf")
        options = {**layout.options, "skip": skip, "encoding": encoding}
        inspected.append(fixed_format.inspect(spark, file, options, (), scratch=tmp_path / "scratch"))
        read = [line for line in lines[skip:] if line.strip(" ")]
        cut = [[line[:3], line[3:7], line[7:9]] for line in read if len(line) >= 9]
        expected[file.sha256[:16]] = [tuple(value.strip(" ") or None for value in row) for row in cut], len(read) - len(cut), lines
    rows = collected(spark, fixed_format, inspected)
    for sha, (good, short, lines) in expected.items():
        have = rows.get(sha, [])
        assert sorted(map(repr, (row for row, line in have if line is None))) == sorted(map(repr, good)), lines
        assert sum(line is not None for _, line in have) == short, lines


CELLS = (
    None, "", "a", " 1 ", "007", "1.5", "1,5", "é\n日", True, False, 0, -1, 12345678901234567, 2**53, 1.5, -0.25, 1e300, 1e-300, 0.1 + 0.2,
    dt.datetime(2024, 2, 29), dt.datetime(2024, 2, 29, 12, 30, 15), dt.datetime(1900, 3, 1), dt.datetime(9999, 12, 31), dt.date(2001, 1, 1),
)  # fmt: skip


@seeds
def test_workbooks_hold_what_openpyxl_finds_in_them(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(25):
        book = Workbook()
        sheet = book.active
        width = chance.randrange(1, 5)
        sheet.append(list("abcd"[:width]))
        for _ in range(chance.randrange(1, 8)):
            sheet.append([chance.choice(CELLS) for _ in range(width)])
        octets = io.BytesIO()
        book.save(octets)
        file = landed(tmp_path, octets.getvalue(), f"{number}.xlsx")
        theirs = [list(row) for row in load_workbook(io.BytesIO(octets.getvalue())).active.iter_rows(min_row=2, values_only=True)]
        theirs = [row for row in theirs if any(cell not in (None, "") for cell in row)]
        (part,) = excel.parts(file, {}, tmp_path / "sheets")
        ours = pq.read_table(part.path).to_pylist()
        assert len(ours) == len(theirs), (seed, number)
        for have, want in zip(ours, theirs, strict=True):
            for text, cell in zip(have.values(), want, strict=False):
                assert text == as_text(cell) or is_same_number(text, cell), (seed, number, text, cell)


def as_text(cell: Any) -> str | None:
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, dt.datetime):
        return cell.isoformat(sep=" ").removesuffix(" 00:00:00")
    return str(cell)


def is_same_number(text: str | None, cell: Any) -> bool:
    return text is not None and isinstance(cell, int | float) and not isinstance(cell, bool) and float(text) == float(cell)


TOKENS = (
    "1", "0", "-7", "12", "007", "+1", "-0", "1E5", "1e5", "12E-4", "1e-07", "1.5E10", "1.0", "17850.0", "1.50", ".5", "5.", ".", "0.1", "00.5", "1_000", "1,000",
    "123456789012345", "1234567890123456", "9007199254740993", "12345678901234567", "9223372036854775807", "9223372036854775808", "0.30000000000000004",
    "0.1234567890123456789", "1e400", "1e-400", "4.9e-324", "nan", "NaN", "inf", "-Infinity", "0x1F", "0x1p3", "1d", "1f", "true", "True", "FALSE", "t", "yes",
    "2024-01-01", "2024-1-2", "2024-02-30", "2024", "2024-05", "20240501", "12:30", "12:30:00", "           12:30:00", "    2024", "T12:30:00", "12024-01-01",
    "+12024-01-01", "-0001-01-01", "0000-01-01", "9999-12-31", "9999-12-31 23:59:59.999999", "0001-01-01", "2024-01-01 00:00:00", "2024-01-01 10:00:00.123456",
    "2024-01-01 10:00:00.1234567", "2024-01-01 10:00:00.1234560", "2024-01-01T10:00:00Z", "2024-01-01 25:00:00", "a", " ", " 12 ", "１２", "∞", "1 234",
)  # fmt: skip


def fits(text: str, type: str) -> bool:
    """Return whether a value of the type gives back what was written: told by Python's own types."""
    text = text.strip(" ")
    if type == "boolean":
        return text.lower() in ("true", "false")
    if type == "long":
        return (
            re.fullmatch(r"(0|-?[1-9]\d*)(\.0*)?", text, re.ASCII) is not None and -(2**63) <= int(text.partition(".")[0]) < 2**63
        )
    if type == "double":
        if not re.fullmatch(r"-?((0|[1-9]\d*)(\.\d*)?|\.\d+|\d(\.\d+)?[eE][-+]\d+|\d\.\d+[eE]\d+)", text, re.ASCII):
            return False
        value = float(text)
        normal = math.isfinite(value) and (abs(value) >= 2.2250738585072014e-308 or not Decimal(text))
        exact = Decimal(repr(value)) == Decimal(text)
        return normal and exact and ("." in text or "e" in text.lower() or len(text.lstrip("-")) <= 15)
    try:
        day = dt.date(*map(int, re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})(?!\d).*", text, re.ASCII).groups()))  # type: ignore[union-attr]
        rest = re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}(?:[ T](\d\d:\d\d:\d\d(?:\.\d{1,6}0*)?)(Z?))?", text, re.ASCII)
        assert rest is not None
        clock = dt.time.fromisoformat(re.sub(r"(\.\d{6})0+$", r"\1", rest[1])) if rest[1] else dt.time()
    except (AttributeError, ValueError, AssertionError):
        return False
    return type == "timestamp" or (clock == dt.time() and not rest[2] and day is not None)


@pytest.mark.slow
@seeds
def test_types_are_inferred_where_nothing_is_lost_and_nowhere_else(spark: Any, seed: int) -> None:
    chance = random.Random(seed)
    columns = [[token] for token in TOKENS] + [[chance.choice(TOKENS) for _ in range(chance.randrange(1, 4))] for _ in range(120)]
    height = max(map(len, columns))
    names = [f"n{i}" for i in range(len(columns))]
    rows = [tuple(column[at] if at < len(column) else None for column in columns) for at in range(height)]
    frame = spark.createDataFrame(rows, ", ".join(f"_r{i} string" for i in range(len(columns))))
    inferred = possible_types(frame, names, {}, "UTC")
    order = ("long", "double", "boolean", "date", "timestamp")
    for name, column in zip(names, columns, strict=True):
        values = [value for value in column if value.strip(" ")]
        expected = frozenset(type for type in order if all(fits(value, type) for value in values))
        assert inferred[name] == expected, f"seed {seed}: {column}: {sorted(inferred[name])} for {sorted(expected)}"
    assert narrowest(frozenset()) == "string"


@seeds
def test_names_do_not_depend_on_the_order_of_files(seed: int) -> None:
    chance = random.Random(seed)
    pool = ("id", "_id", "ID", "__id", "id_2", "Trip km", "Trip_km", "trip.km", "v", "V", "a;b", "=", "column", "café")
    for _ in range(300):
        files = [chance.sample(pool, chance.randrange(1, 5)) for _ in range(chance.randrange(1, 5))]
        files = [[name for i, name in enumerate(names) if name.casefold() not in map(str.casefold, names[:i])] for names in files]
        fresh = {(column.name, column.raw) for column in name_columns(files, [], ("declared",))}
        assert len({name.casefold() for name, _ in fresh}) == len(fresh), files
        chance.shuffle(files)
        assert {(column.name, column.raw) for column in name_columns(files, [], ("declared",))} == fresh, files
        known = name_columns(files[:1], [], ("declared",))
        assert {(column.name, column.raw) for column in name_columns(files[1:], known, ("declared",))} == fresh, files
