"""The cells of a workbook are told whatever way its XML is written: other programs than openpyxl write it otherwise."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from caudal.errors import SourceProblem
from caudal.stages.ingest.formats.sheet_bounds import check_rectangle
from caudal.stages.ingest.read import read_files

_PACKAGE = "http://schemas.openxmlformats.org/package/2006/"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def workbook(
    rows: str, *, part: str = "xl/worksheets/sheet1.xml", target: str = "worksheets/sheet1.xml", main: str = _SHEET, head: str = ""
) -> bytes:
    """Return an xlsx with one sheet, whose rows are written as they are given."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{_PACKAGE}content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        for name, kind, to in (
            ("_rels/.rels", "officeDocument", "xl/workbook.xml"),
            ("xl/_rels/workbook.xml.rels", "worksheet", target),
        ):
            link = f'<Relationship Id="r1" Type="{_OFFICE}/{kind}" Target="{to}"/>'
            archive.writestr(name, f'<Relationships xmlns="{_PACKAGE}relationships">{link}</Relationships>')
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{_OFFICE}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        archive.writestr(part, f'{head}<worksheet xmlns="{main}" xmlns:x="{main}"><sheetData>{rows}</sheetData></worksheet>')
    return octets.getvalue()


FIRST = '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row>'
FAR = {
    "bare": '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
    "other quotes": "<row r='1048576'><c r='XFD1048576'><v>1</v></c></row>",
    "prefix": '<x:row r="1048576"><x:c r="XFD1048576"><x:v>1</x:v></x:c></x:row>',
    "a sign before": '<row r="1048576"><c s="1" t=">" r="XFD1048576"><v>1</v></c></row>',
    "blanks": '<row r="1048576" ><c\n r = "XFD1048576"\t>\n<!-- here --><v>1</v></c></row>',
    "characters by number": '<row r="1048576"><c r="&#88;FD1048576"><v>1</v></c></row>',
    "no place of its own": '<row r="2"><c r="XFC2"><v>1</v></c><c><v>1</v></c></row><row r="1048576"><c><v>1</v></c></row>',
}


@pytest.mark.parametrize("written", FAR)
def test_a_far_cell_is_refused_however_it_is_written(land: Any, written: str) -> None:
    with pytest.raises(SourceProblem, match="17,179,869,184 cells"):
        check_rectangle(land(workbook(FIRST + FAR[written]), "far.xlsx"), "S")


@pytest.mark.parametrize(
    "about",
    [
        {"part": "xl/Worksheets/Sheet1.xml"}, {"target": "/xl/worksheets/sheet1.xml"}, {"main": "http://purl.oclc.org/ooxml/spreadsheetml/main"},
    ],
)  # fmt: skip
def test_the_part_of_a_sheet_is_found_however_it_is_named(land: Any, about: dict[str, str]) -> None:
    with pytest.raises(SourceProblem, match="17,179,869,184 cells"):
        check_rectangle(land(workbook(FIRST + FAR["bare"], **about), "far.xlsx"), "S")


def test_cells_without_a_value_are_in_no_use(land: Any) -> None:
    assert check_rectangle(land(workbook(FIRST + '<row r="1048576"><c r="XFD1048576" s="1"/></row>'), "formatted.xlsx"), "S") == {}


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="B2" t="e"><v>#N/A</v></c>', "<c t='e' r='B2'><v>#N/A</v></c>", '<x:c r="B2" s="1" t="e"><x:f>1/0</x:f><x:v>#N/A</x:v></x:c>',
        '<c r="A2"><v>1</v></c><c t="e"><v>#N<![CDATA[/]]>A</v></c>',
    ],
)  # fmt: skip
def test_an_error_is_told_however_it_is_written(land: Any, cell: str) -> None:
    assert check_rectangle(land(workbook(f'{FIRST}<row r="2">{cell}</row>'), "errors.xlsx"), "S") == {2: {1: "#N/A"}}


@pytest.mark.parametrize(
    ("rows", "head"),
    [
        (FIRST, '<!DOCTYPE worksheet [<!ENTITY far "1">]>'), (FIRST + '<row r="2"><c r="A2"><v>&far;</v></c></row>', '<!DOCTYPE w [<!ENTITY far "1">]>'),
        (FIRST + '<row r="2"><c r="A2"><v>&far;</v></c></row>', ""), (FIRST + "</oops>", ""), (FIRST + "<row", ""),
    ],
)  # fmt: skip
def test_a_sheet_that_is_no_plain_xml_is_refused_by_name(land: Any, source: Any, rows: str, head: str) -> None:
    with pytest.raises(SourceProblem, match=r"'strange\.xlsx' is .*broken"):
        read_files(None, [land(workbook(rows, head=head), "strange.xlsx")], source())  # type: ignore[arg-type] # Spark is not asked
