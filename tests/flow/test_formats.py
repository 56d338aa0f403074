"""Every format that the documentation names is read by the command, from a plain install: one product with a source for each."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from tests.flow.commands import caudal, run_here

from caudal.storage import delta
from caudal.tables.home import Home

Rows = list[dict[str, object]]


def rows(number: int) -> Rows:
    """Return the rows of a file: two equal files would count once."""
    return [{"id": 2 * number, "name": "a"}, {"id": 2 * number + 1, "name": "é"}]


def parquet(rows: Rows) -> bytes:
    pq.write_table(pa.Table.from_pylist(rows), buffer := io.BytesIO())
    return buffer.getvalue()


def avro(rows: Rows) -> bytes:
    fields = [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}]
    fastavro.writer(buffer := io.BytesIO(), fastavro.parse_schema({"type": "record", "name": "Row", "fields": fields}), rows)
    return buffer.getvalue()


def text(delimiter: str, rows: Rows) -> bytes:
    pc.write_csv(pa.Table.from_pylist(rows), buffer := io.BytesIO(), pc.WriteOptions(delimiter=delimiter))
    return buffer.getvalue()


def workbook(rows: Rows) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["id", "name"], *([row["id"], row["name"]] for row in rows)):
        book.active.append(row)
    book.save(buffer := io.BytesIO())
    return buffer.getvalue()


# By ending; workbooks that only Excel and LibreOffice write are read in the unit tests.
FORMATS: dict[str, Callable[[Rows], bytes]] = {
    ".parquet": parquet, ".pq": parquet, ".avro": avro, ".csv": lambda rows: text(",", rows), ".tsv": lambda rows: text("\t", rows), ".txt": lambda rows: text(",", rows),
    ".json": lambda rows: json.dumps(rows).encode(), ".jsonl": lambda rows: "".join(f"{json.dumps(row)}\n" for row in rows).encode(),
    ".ndjson": lambda rows: "".join(json.dumps(row) for row in rows).encode(), ".xlsx": workbook, ".xlsm": workbook,
    ".fwf": lambda rows: b"".join(f"{row['id']:4}{row['name']}\n".encode() for row in rows),
}  # fmt: skip
NOT_HERE = {".xlsb", ".xls", ".ods"}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress,
    ".zst": lambda plain: pa.compress(plain, "zstd", asbytes=True),
}  # fmt: skip
PACKED = (".csv", ".json", ".parquet", ".avro")


def zipped(plain: bytes, name: str) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr(name, plain)
    return buffer.getvalue()


def test_the_documentation_names_no_other_format() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "files.md").read_text().split("## Formats")[1].split("### ")[0]
    rows = [line.split("|")[2] for line in documented.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"\.\w+", " ".join(rows))) == {*FORMATS} | NOT_HERE


# One source for each family; ids tell which file a row came from.
FAMILIES = {"csv": (".csv", ".tsv", ".txt"), "json": (".json", ".jsonl", ".ndjson"), "parquet": (".parquet", ".pq"), "avro": (".avro",),
            "excel": (".xlsx", ".xlsm"), "fixed": (".fwf",)}  # fmt: skip


def test_every_format_is_read_by_the_command(tmp_path: Path) -> None:
    product = tmp_path / "p"
    product.mkdir()
    assert {ending for endings in FAMILIES.values() for ending in endings} == {*FORMATS}
    lines, files = ["import caudal as cd", "product = cd.Product('formats')"], dict.fromkeys(FAMILIES, 0)
    for family, endings in FAMILIES.items():
        contents = [(f"{family}_plain{ending}", FORMATS[ending](rows(number))) for number, ending in enumerate(endings)]
        if (ending := endings[0]) in PACKED:
            for packing, pack in PACKINGS.items():
                contents.append((f"{family}_packed{ending}{packing}", pack(FORMATS[ending](rows(len(contents))))))
            contents.append((f"{family}_packed.zip", zipped(FORMATS[ending](rows(len(contents))), f"rows{ending}")))
        for name, content in contents:
            (product / name).write_bytes(content)
        files[family] = len(contents)
        layout = ", format=cd.fixed_width({'id': 4, 'name': 10}, short=True)" if family == "fixed" else ""
        lines.append(f"product.source({family!r}, cd.files('{family}_*'{layout}))")
    (product / "product.py").write_text("\n".join(lines))
    assert caudal("run", product, "--home", tmp_path / "home")["state"] == "succeeded"
    for family, count in files.items():
        version = delta.read_version(Home(tmp_path / "home").table("formats", family))
        got = pa.concat_tables([pq.ParquetFile(str(version.folder / file.path)).read() for file in version.files])
        expected = [(row["id"], row["name"]) for number in range(count) for row in rows(number)]
        assert sorted(zip(got["id"].to_pylist(), got["name"].to_pylist(), strict=True)) == expected, family


def test_what_any_ending_may_match_may_be_avro(tmp_path: Path, spark: Any) -> None:
    product = tmp_path / "p"
    product.mkdir()
    (product / "rows.avro").write_bytes(avro(rows(0)))
    (product / "product.py").write_text(
        "import caudal as cd\nproduct = cd.Product('any')\nproduct.source('rows', cd.files('rows.*'))\n"
    )
    assert run_here(product, tmp_path / "home")["state"] == "succeeded"
