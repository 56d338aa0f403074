"""Read the used cells of a sheet from the file itself: how far they reach, and which of an xlsx hold an error (``#N/A``, ``#DIV/0!``).

The sheet reader holds the whole rectangle of used cells in memory, and returns cells with an error as empty. So the file is read
before, by an XML parser, because XML can be written in more ways than one expects.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO
from xml.etree import ElementTree
from xml.parsers import expat

_BLOCK = 1 << 20
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_ROW, _CELLS = 0, range(2, 12)  # [MS-XLSB] 2.3.2: BrtRowHdr, and the cells with a value


class BrokenSheet(ValueError):
    """The XML of a sheet is not well-formed."""


@dataclass
class Rectangle:
    """The used cells: their number, and the corners of the rectangle around them."""

    used: int = 0
    top: int = 1 << 31
    left: int = 1 << 31
    bottom: int = -1
    right: int = -1

    def add(self, row: int, column: int, rows: int = 1, columns: int = 1) -> None:
        """Add cells."""
        self.used += rows * columns
        self.top, self.left = min(self.top, row), min(self.left, column)
        self.bottom, self.right = max(self.bottom, row + rows - 1), max(self.right, column + columns - 1)

    @property
    def cells(self) -> int:
        """Return the number of cells of the rectangle."""
        return 0 if self.bottom < 0 else (self.bottom - self.top + 1) * (self.right - self.left + 1)


class XlsxSheet:
    """The cells of a worksheet of an xlsx: the used ones, and the texts of those with an error.

    Attributes
    ----------
    errors : texts of cells with an error, by row, from 1, and column, from 0
    """

    def __init__(self) -> None:
        self.used = Rectangle()
        self.errors: dict[int, dict[int, str]] = {}
        self._columns: dict[str, int] = {}
        self._row, self._column = 0, -1
        self._is_error = False
        self._word: list[str] | None = None  # of the cell with an error that is being read

    def read(self, stream: IO[bytes]) -> XlsxSheet:
        """Read the worksheet part, and return this object.

        Raises
        ------
        BrokenSheet : it is no XML
        """
        _parse(stream, self._start, self._end, self._text)
        return self

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name == "c":
            self._go_to(attributes.get("r"))
            self._is_error = attributes.get("t") == "e"
        elif name in ("v", "is"):
            self.used.add(self._row, self._column)
            if self._is_error:
                self._word = []
        elif name == "row":
            number = attributes.get("r", "")
            self._row, self._column = int(number) if number.isdecimal() else self._row + 1, -1

    def _go_to(self, place: str | None) -> None:
        """Move to a cell's position; a cell without one is the next of its row."""
        match = _PLACE.fullmatch(place or "")
        if match is None:
            self._column += 1
            return
        letters, row = match.groups()
        if letters not in self._columns:
            self._columns[letters] = column_number(letters)
        self._row, self._column = int(row), self._columns[letters]

    def _text(self, text: str) -> None:
        if self._word is not None:
            self._word.append(text)

    def _end(self, name: str) -> None:
        if self._word is not None and name.rpartition(":")[2] == "v":
            self.errors.setdefault(self._row, {})[self._column] = "".join(self._word)
            self._word = None


def part_of(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the part of an xlsx that holds a sheet, None where there is none; names of parts ignore case."""
    parts = {name.lower(): name for name in archive.namelist()}
    # ElementTree resolves no external entities, and expat limits the growth of internal ones.
    book = ElementTree.fromstring(archive.read(parts["xl/workbook.xml"]))  # noqa: S314
    sheets = (element for element in book.iter() if _local(element.tag) == "sheet" and element.get("name") == sheet)
    link = next((value for element in sheets for name, value in element.items() if name.endswith("}id")), None)
    for relation in ElementTree.fromstring(archive.read(parts["xl/_rels/workbook.xml.rels"])):  # noqa: S314
        if relation.get("Id") == link:
            part = posixpath.normpath(posixpath.join("/xl", relation.get("Target", ""))).lstrip("/")
            return parts.get(part.lower())
    return None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def column_number(letters: str) -> int:
    """Return a column's number from 0.

    Examples
    --------
    >>> column_number("A"), column_number("AB")
    (0, 27)
    """
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def xlsb_used(content: bytes) -> Rectangle:
    """Return the rectangle of a sheet of an xlsb: records of a number, a length and that many bytes ([MS-XLSB] 2.1.4)."""
    cells, at, row = Rectangle(), 0, 0
    while at < len(content):
        kind, at = _varint(content, at, 2)
        size, at = _varint(content, at, 4)
        if kind == _ROW:
            row = int.from_bytes(content[at : at + 4], "little")
        elif kind in _CELLS:
            cells.add(row, int.from_bytes(content[at : at + 4], "little"))
        at += size
    return cells


def _varint(content: bytes, at: int, max_bytes: int) -> tuple[int, int]:
    value = 0
    for place in range(max_bytes):
        if at >= len(content):
            break
        octet = content[at]
        at += 1
        value |= (octet & 0x7F) << (7 * place)
        if not octet & 0x80:
            break
    return value, at


class OdsSheet:
    """The rectangle of one table of an OpenDocument sheet, whose rows and cells have repeat counts."""

    def __init__(self, sheet: str) -> None:
        self._sheet, self._within = sheet, False
        self._row = self._column = self._rows = 0
        self._cell: tuple[int, int] | None = None
        self._found = Rectangle()

    def read(self, stream: IO[bytes]) -> Rectangle:
        """Return the rectangle of the cells with a value.

        Raises
        ------
        BrokenSheet : it is no XML
        """
        _parse(stream, self._start, self._end, self._text)
        return self._found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "table:table":
            self._within, self._row = attributes.get("table:name") == self._sheet, 0
        elif name == "table:table-row" and self._within:
            self._column, self._rows = 0, _times(attributes, "table:number-rows-repeated")
        elif name in ("table:table-cell", "table:covered-table-cell") and self._within:
            times = _times(attributes, "table:number-columns-repeated")
            self._cell = (self._column, times)
            self._column += times
            if any(key.startswith("office:") for key in attributes):
                self._add_cell()

    def _text(self, text: str) -> None:
        if self._cell is not None and text.strip():
            self._add_cell()

    def _add_cell(self) -> None:
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


def _times(attributes: dict[str, str], name: str) -> int:
    text = attributes.get(name, "1")
    return int(text) if text.isdigit() else 1


def _parse(
    stream: IO[bytes], start: Callable[[str, dict[str, str]], None], end: Callable[[str], None], text: Callable[[str], None]
) -> None:
    """Parse a part and call the handlers for its elements and texts."""

    def refuse(*_: object) -> None:
        # ECMA-376, part 2, forbids document types; the sheet reader ignores their declarations.
        raise BrokenSheet("it declares a document type")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        for block in _blocks(stream):
            parser.Parse(block, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise BrokenSheet(str(error)) from None


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while block := stream.read(_BLOCK):
            yield block
