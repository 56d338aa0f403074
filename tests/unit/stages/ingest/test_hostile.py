"""Files that ask for more than a machine has: refused and named before a reader holds them."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from caudal.declarations.connection import Files
from caudal.errors import SourceProblem
from caudal.stages.ingest.files import list_changed
from caudal.stages.ingest.limits import FREE_BYTES, MB
from caudal.stages.ingest.read import read_files

NOW = 4e9  # long after any file was written


def repeated(text: bytes, total: int) -> Any:
    block = text * max(1, (1 << 20) // len(text))
    return (block for _ in range(total // len(block) + 1))


@pytest.mark.parametrize("multiline", [None, True])
def test_a_line_that_no_reader_should_hold_is_refused_with_its_number(
    land: Any, source: Any, monkeypatch: Any, multiline: bool | None
) -> None:
    monkeypatch.setenv("CAUDAL_MAX_LINE_MB", "2")
    octets = gzip.compress(b"a,b\n1,2\n" + b"0" * (3 * MB) + b"\n", 1)
    options = {} if multiline is None else {"multiline": multiline}
    with pytest.raises(SourceProblem, match=r"'bomb\.csv\.gz': line 3 is longer than 2 MB") as raised:
        read_files(None, [land(octets, "bomb.csv.gz")], source(**options))  # type: ignore[arg-type] # Spark is not asked
    assert "CAUDAL_MAX_LINE_MB" in str(raised.value)
    assert raised.value.facts["file"] == "bomb.csv.gz"


def test_many_lines_out_of_few_bytes_are_refused(land: Any, source: Any) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        for block in repeated(b"0,0\n", FREE_BYTES + MB):
            file.write(block)
    with pytest.raises(SourceProblem, match="CAUDAL_MAX_EXPANSION"):
        read_files(None, [land(packed.getvalue(), "many.csv.gz")], source())  # type: ignore[arg-type]


def test_what_is_unpacked_to_disk_is_bounded_too(land: Any, source: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("caudal.stages.ingest.limits.FREE_BYTES", MB)
    packer = lzma.LZMACompressor(preset=0)
    octets = b"".join(packer.compress(block) for block in repeated(b"0,0\n", 8 * MB)) + packer.flush()
    raw = land(octets, "many.csv.xz")
    with pytest.raises(SourceProblem, match="CAUDAL_MAX_EXPANSION"):
        read_files(None, [raw], source(), scratch=tmp_path / "scratch")  # type: ignore[arg-type]
    assert not [path for path in (tmp_path / "scratch").iterdir() if path.stat().st_size]


def test_packings_within_packings_have_an_end(land: Any, source: Any, tmp_path: Path) -> None:
    inner = b"a,b\n1,2\n"
    name = "a.csv"
    for depth in range(5):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(name, inner)
        inner, name = packed.getvalue(), f"{depth}.csv.zip"
    with pytest.raises(SourceProblem, match="CAUDAL_MAX_NESTING"):
        read_files(None, [land(inner, "deep.csv.zip")], source(), scratch=tmp_path / "scratch")  # type: ignore[arg-type]


def test_two_far_cells_are_refused_and_a_formatted_sheet_is_not(spark: Any, land: Any, source: Any) -> None:
    book = Workbook()
    sheet = book.active
    sheet.append(["a", "b"])
    sheet.append([1, 2])
    sheet["XFD1048576"].number_format = "0.00"  # in no use: it holds nothing
    assert read_files(spark, [land(octets_of(book), "formatted.xlsx")], source()).frame.count() == 1
    sheet["XFD1048576"] = 1
    with pytest.raises(SourceProblem, match=r"'far\.xlsx': the 5 cells in use .* 17,179,869,184 cells"):
        read_files(spark, [land(octets_of(book), "far.xlsx")], source())


def test_repeated_cells_of_an_open_document_count_as_many(land: Any, source: Any) -> None:
    def content(value: str) -> str:
        return (
            '<office:document-content xmlns:office="o" xmlns:table="t" xmlns:text="x"><office:body><office:spreadsheet>'
            '<table:table table:name="S"><table:table-row><table:table-cell office:value-type="string"><text:p>a</text:p></table:table-cell>'
            f'</table:table-row><table:table-row table:number-rows-repeated="1048575"><table:table-cell {value}'
            ' table:number-columns-repeated="16384"/></table:table-row></table:table></office:spreadsheet></office:body></office:document-content>'
        )

    from caudal.stages.ingest.formats.sheet_bounds import check_rectangle

    for value, refused in (('office:value-type="float" office:value="1"', True), ("", False)):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("content.xml", content(value))
        file = land(packed.getvalue(), "wide.ods")
        if refused:
            with pytest.raises(SourceProblem, match="CAUDAL_MAX_CELLS"):
                check_rectangle(file, "S")
        else:
            check_rectangle(file, "S")


def octets_of(book: Workbook) -> bytes:
    octets = io.BytesIO()
    book.save(octets)
    return octets.getvalue()


def test_links_out_of_the_landing_folder_are_told_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.csv").write_text("a\n1\n")
    landing = tmp_path / "in"
    (landing / "own").mkdir(parents=True)
    (landing / "own" / "x.csv").write_text("a\n1\n")
    (landing / "file.csv").symlink_to(tmp_path / "secret" / "key.csv")
    (landing / "up.csv").symlink_to("../secret/key.csv")
    (landing / "folder").symlink_to(tmp_path / "secret")
    (landing / "circle.csv").symlink_to("circle.csv")
    (landing / "inside.csv").symlink_to("own/x.csv")
    (landing / "chain.csv").symlink_to("file.csv")

    def seen(pattern: str, follow: bool = False) -> tuple[set[str], set[str]]:
        arrived = list_changed(Files(pattern, follow_links=follow), data=tmp_path, landed={}, clock=lambda: NOW)
        landed = {Path(file.path).name for file in arrived if file.link is None}
        return landed, {Path(file.path).name for file in arrived if file.link is not None}

    assert seen("in/*.csv") == ({"inside.csv"}, {"file.csv", "up.csv", "circle.csv", "chain.csv"})
    assert seen("in/*/*.csv") == ({"x.csv"}, {"folder"})
    assert seen("in/**/*.csv")[0] == {"x.csv", "inside.csv"}
    assert seen("in/*.csv", follow=True) == ({"inside.csv", "file.csv", "up.csv", "chain.csv"}, {"circle.csv"})
    (tmp_path / "way").symlink_to(landing)  # a link that the declaration itself names is meant
    assert seen("way/*.csv")[0] == {"inside.csv"}
