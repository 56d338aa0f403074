"""Packed files: the same rows however they are packed, and every kind of broken packing said in one sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import caudal as cd
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.stages.ingest.read import read_files

ROWS = "id,name\n" + "".join(f"{i},n{i}\n" for i in range(2000))


def zstd(octets: bytes) -> bytes:
    return pa.compress(octets, codec="zstd", asbytes=True)


def zipped(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd, ".zip": lambda octets: zipped(**{"rows.csv": octets}),
}  # fmt: skip


def names(result: Any) -> list[str]:
    return sorted(row.name for row in result.frame.select("name").collect())


def test_the_same_rows_however_they_are_packed(spark: Any, land: Any, source: Any) -> None:
    files = [
        land(pack((f"id,name\n{i},{ending}\n" + "9,x\n" * 50).encode()), f"rows.csv{ending}")
        for i, (ending, pack) in enumerate(PACKINGS.items())
    ]
    result = read_files(spark, files, source())
    assert [one.type for one in result.schema] == ["long", "string"]
    assert names(result) == sorted([*PACKINGS, *["x"] * 250])
    by_file = {row._file for row in result.frame.select("_file").distinct().collect()}
    assert by_file == {file.sha256[:16] for file in files}


def test_streams_of_several_frames_are_read_whole(spark: Any, land: Any, source: Any) -> None:
    for ending in (".gz", ".bz2", ".xz", ".zst"):
        pack = PACKINGS[ending]
        file = land(pack(ROWS.encode()) + pack(b"5000,last\n"), f"rows.csv{ending}")
        assert read_files(spark, [file], source()).frame.count() == 2001, ending


def test_json_and_parquet_are_unpacked_too(spark: Any, land: Any, source: Any) -> None:
    table = io.BytesIO()
    pq.write_table(pa.table({"name": ["p"]}), table)
    files = [land(lzma.compress(b'{"name": "j"}\n'), "rows.jsonl.xz"), land(gzip.compress(table.getvalue()), "rows.parquet.gz")]
    assert names(read_files(spark, files, source())) == ["j", "p"]


@pytest.mark.parametrize("ending", PACKINGS)
def test_a_cut_or_mislabelled_file_is_one_sentence(spark: Any, land: Any, source: Any, ending: str) -> None:
    whole = PACKINGS[ending](ROWS.encode())
    with pytest.raises(SourceProblem, match=r"truncated") as raised:
        read_files(spark, [land(whole[: len(whole) * 2 // 3], f"rows.csv{ending}")], source())
    assert raised.value.facts["file"] == f"rows.csv{ending}"
    with pytest.raises(SourceProblem, match=f"is no {ending[1:]} file"):
        read_files(spark, [land(ROWS, f"rows.csv{ending}")], source())


def test_members_of_an_archive_are_chosen_and_each_names_itself(spark: Any, land: Any, source: Any) -> None:
    file = land(
        zipped(**{"in/a.csv": b"name\na\n", "in/b.csv": b"name\nb\n", "README.md": b"# x", "__MACOSX/a.csv": b"\0"}), "all.zip"
    )
    assert names(read_files(spark, [file], source())) == ["a", "b"]
    assert names(read_files(spark, [file], source(members="in/b*"))) == ["b"]
    with pytest.raises(SourceProblem, match=r"has no member that matches 'in/c.csv'; it holds 'in/a.csv'"):
        read_files(spark, [file], source(members="in/c.csv"))
    bad = land(zipped(**{"a.csv": b"name\na\n", "b.csv": b"name\n\xff\n"}), "bad.zip")
    with pytest.raises(SourceProblem, match=r"'bad.zip/b.csv' is not utf-8") as raised:
        read_files(spark, [bad], source())
    assert raised.value.facts["file"] == "bad.zip"
    with pytest.raises(SourceProblem, match="no member of a format that is read"):
        read_files(spark, [land(zipped(**{"README.md": b"x"}), "none.zip")], source())


def test_packed_members_and_workbooks_of_an_archive_do_not_meet(spark: Any, land: Any, source: Any) -> None:
    def book(name: str) -> bytes:
        made, content = openpyxl.Workbook(), io.BytesIO()
        for row in (["name"], [name]):
            made.active.append(row)
        made.save(content)
        return content.getvalue()

    members = {
        "a.csv.zst": zstd(b"name\na\n"),
        "b [1]*.csv.xz": lzma.compress(b"name\nb\n"),
        "c.xlsx": book("c"),
        "d.xlsx": book("d"),
    }
    inner = zipped(**{"e.csv.zst": zstd(b"name\ne\n"), "f.c?v.csv": b"name\nf\n"})
    assert names(read_files(spark, [land(zipped(**members, **{"in.zip": inner}), "all.zip")], source(members="*"))) == [
        "a",
        "b",
        "c",
        "d",
        "e",
        "f",
    ]


# Two rows, encrypted by Info-ZIP's `zip -P swordfish`.
LOCKED = bytes.fromhex(
    "504b03040a00090000005d9f755d5bb012af150000000900000006001c006c6b2e637376555409000301f8016b01f8016b75780b000104000000000400000000e2af1d77541406d493d007aced686bef51f204f9e9504b07085bb012af1500000009000000504b01021e030a00090000005d9f755d5bb012af1500000009000000060018000000000001000000a481000000006c6b2e637376555405000301f8016b75780b000104000000000400000000504b050600000000010001004c000000650000000000"
)


def test_a_locked_archive_is_opened_by_a_password_from_the_environment(
    spark: Any, land: Any, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = land(LOCKED, "locked.zip")
    with pytest.raises(SourceProblem, match="is encrypted"):
        read_files(spark, [file], source())
    with pytest.raises(EnvironmentProblem, match="'ZIP_WORD' is not set"):
        read_files(spark, [file], source(password=cd.env("ZIP_WORD")))
    monkeypatch.setenv("ZIP_WORD", "wrong")
    with pytest.raises(SourceProblem, match=r"The password for 'locked.zip' is wrong"):
        read_files(spark, [file], source(password=cd.env("ZIP_WORD")))
    monkeypatch.setenv("ZIP_WORD", "swordfish")
    assert names(read_files(spark, [file], source(password=cd.env("ZIP_WORD")))) == ["a", "b"]
