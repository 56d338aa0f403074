"""Cells of an xlsx sheet that hold an error (``#N/A``, ``#DIV/0!``): the reader of sheets gives them as empty, and they are not."""

from __future__ import annotations

import posixpath
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CELL = re.compile(rb'<c\s+(?=[^>]*\bt="e")[^>]*\br="([A-Z]+)(\d+)"[^>]*>(?:(?!</c>).)*?<v>([^<]*)</v>', re.DOTALL)


def errors_of(path: Path, sheet: str) -> dict[int, dict[int, str]]:
    """Return the errors by row, from 1, and column, from 0; of other kinds of workbook none can be told."""
    if path.suffix not in (".xlsx", ".xlsm") or not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        part = part_of(archive, sheet)
        content = archive.read(part) if part in archive.namelist() else b""
    if b't="e"' not in content:
        return {}
    found: dict[int, dict[int, str]] = {}
    for letters, row, word in _CELL.findall(content):
        found.setdefault(int(row), {})[column_number(letters.decode())] = word.decode()
    return found


def part_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return which part of the package holds a sheet."""
    # ElementTree resolves no external entity; a workbook with a document type is refused by the reader before.
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314
    link = next((one.get(_LINK) for one in book.iter(f"{_MAIN}sheet") if one.get("name") == sheet), None)
    for one in ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels")):  # noqa: S314
        if one.get("Id") == link:
            return posixpath.normpath(posixpath.join("xl", one.get("Target", ""))).lstrip("/")
    return ""


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
