"""How large the rectangle of a sheet's cells in use is, told before the reader of sheets makes it whole in memory.

A workbook of two kilobytes can have one cell at A1 and one at XFD1048576. What counts is the cells that hold something, not the
dimension that the file declares.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.parsers import expat

from caudal.errors import SourceProblem
from caudal.stages.ingest.formats.sheet_errors import column_number, part_of
from caudal.stages.ingest.limits import Expansion, bound
from caudal.stages.ingest.raw import RawFile

_BLOCK = 1 << 20
_CELL = re.compile(rb'<(?:\w+:)?c\s(?:[^>]*?\s)?r="([A-Z]{1,3})(\d{1,7})"[^>]*?[^/]>\s*<')
_SPARSE_CELLS, _SPARSE = 5_000_000, 100  # a sheet of so many cells is sparse when less than one in so many is in use
_ROW, _CELLS = 0, range(2, 12)  # [MS-XLSB] 2.3.2: BrtRowHdr, and the cells that hold something


@dataclass
class Rectangle:
    """The cells in use: their number, and the corners of what holds them all."""

    used: int = 0
    top: int = 1 << 31
    left: int = 1 << 31
    bottom: int = -1
    right: int = -1

    def add(self, row: int, column: int, rows: int = 1, columns: int = 1) -> None:
        """Take in cells."""
        self.used += rows * columns
        self.top, self.left = min(self.top, row), min(self.left, column)
        self.bottom, self.right = max(self.bottom, row + rows - 1), max(self.right, column + columns - 1)

    @property
    def cells(self) -> int:
        """How many cells the rectangle has."""
        return 0 if self.bottom < 0 else (self.bottom - self.top + 1) * (self.right - self.left + 1)


def check_size(file: RawFile) -> None:
    """Raise SourceProblem when a workbook unpacks to far more than it is."""
    assert isinstance(file.path, Path)
    if not zipfile.is_zipfile(file.path):
        return
    packed = Expansion(file, file.path.stat().st_size)
    with zipfile.ZipFile(file.path) as archive:
        for member in archive.infolist():
            packed.add(member.file_size)


def check_rectangle(file: RawFile, sheet: str) -> None:
    """Raise SourceProblem when a sheet's cells in use lie so far apart that it cannot be held in memory."""
    assert isinstance(file.path, Path)
    if not zipfile.is_zipfile(file.path):
        return  # an xls has at most 65,536 rows of 256 cells
    suffix = file.path.suffix.lower()
    with zipfile.ZipFile(file.path) as archive:
        names = set(archive.namelist())
        if suffix in (".xlsx", ".xlsm"):
            part = part_of(archive, sheet)
            rectangles = [_of_xml(archive.open(part))] if part in names else []
        elif suffix == ".xlsb":
            binary = [name for name in names if re.fullmatch(r"xl/worksheets/[^/]+\.bin", name)]
            rectangles = [_of_records(archive.read(name)) for name in sorted(binary)]
        else:
            rectangles = [_Ods(sheet).read(archive.open("content.xml"))] if "content.xml" in names else []
    most = bound("CAUDAL_MAX_CELLS")
    for found in rectangles:
        if found.cells > most or (found.cells > _SPARSE_CELLS and found.cells > _SPARSE * found.used):
            raise SourceProblem(
                f"'{file.name}': the {found.used:,} cells in use of the sheet '{sheet}' lie in a rectangle of {found.cells:,} cells.",
                fix="Clear the cells that lie far from the table, or have it exported as CSV."
                + (" CAUDAL_MAX_CELLS allows more." if found.cells > most else ""),
                file=file.name,
            )


def _of_xml(stream: IO[bytes]) -> Rectangle:
    found, held = Rectangle(), b""
    columns: dict[bytes, int] = {}
    for block in _blocks(stream):
        text = held + block
        end = 0
        for match in _CELL.finditer(text):
            letters, row = match.groups()
            if letters not in columns:
                columns[letters] = column_number(letters.decode())
            found.add(int(row), columns[letters])
            end = match.end()
        held = text[max(end, len(text) - 4096) :]
    return found


def _of_records(content: bytes) -> Rectangle:
    """Return the rectangle of a sheet of an xlsb: records of a number, a length and that many bytes ([MS-XLSB] 2.1.4)."""
    found, at, row = Rectangle(), 0, 0
    while at < len(content):
        kind, at = _varint(content, at, 2)
        size, at = _varint(content, at, 4)
        if kind == _ROW:
            row = int.from_bytes(content[at : at + 4], "little")
        elif kind in _CELLS:
            found.add(row, int.from_bytes(content[at : at + 4], "little"))
        at += size
    return found


def _varint(content: bytes, at: int, most: int) -> tuple[int, int]:
    value = 0
    for place in range(most):
        if at >= len(content):
            break
        octet = content[at]
        at += 1
        value |= (octet & 0x7F) << (7 * place)
        if not octet & 0x80:
            break
    return value, at


class _Ods:
    """The rectangle of one table of an OpenDocument sheet, whose rows and cells say how often they are repeated."""

    def __init__(self, sheet: str) -> None:
        self._sheet, self._within = sheet, False
        self._row = self._column = self._rows = 0
        self._cell: tuple[int, int] | None = None
        self._found = Rectangle()

    def read(self, stream: IO[bytes]) -> Rectangle:
        """Return the rectangle of the cells that hold something."""
        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        try:
            for block in _blocks(stream):
                parser.Parse(block, False)
        except expat.ExpatError:
            pass  # the reader of sheets says what is wrong with it
        return self._found

    def _start(self, name: str, said: dict[str, str]) -> None:
        if name == "table:table":
            self._within, self._row = said.get("table:name") == self._sheet, 0
        elif name == "table:table-row" and self._within:
            self._column, self._rows = 0, _times(said, "table:number-rows-repeated")
        elif name in ("table:table-cell", "table:covered-table-cell") and self._within:
            times = _times(said, "table:number-columns-repeated")
            self._cell = (self._column, times)
            self._column += times
            if any(key.startswith("office:") for key in said):
                self._held()

    def _text(self, text: str) -> None:
        if self._cell is not None and text.strip():
            self._held()

    def _held(self) -> None:
        if self._cell is not None:
            self._found.add(self._row, self._cell[0], self._rows, self._cell[1])
            self._cell = None

    def _end(self, name: str) -> None:
        if name == "table:table":
            self._within = False
        elif name == "table:table-row" and self._within:
            self._row += self._rows
        elif name in ("table:table-cell", "table:covered-table-cell"):
            self._cell = None


def _times(said: dict[str, str], name: str) -> int:
    text = said.get(name, "1")
    return int(text) if text.isdigit() else 1


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while block := stream.read(_BLOCK):
            yield block
