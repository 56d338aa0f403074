"""Check the size of the rectangle of a sheet's used cells before the sheet reader builds it in memory.

A workbook of two kilobytes can have one cell at A1 and one at XFD1048576. Cells with a value count, not the
dimension that the file declares.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from xml.etree import ElementTree

from caudal.errors import SourceProblem
from caudal.stages.ingest.formats.sheet_cells import BrokenSheet, OdsSheet, Rectangle, XlsxSheet, part_of, xlsb_used
from caudal.stages.ingest.limits import Expansion, bound
from caudal.stages.ingest.raw import RawFile

_BINARY = re.compile(r"xl/worksheets/[^/]+\.bin", re.IGNORECASE)
_SPARSE_CELLS, _SPARSE = 5_000_000, 100  # a sheet with so many cells is sparse if less than one in 100 is used


def check_size(file: RawFile) -> None:
    """Raise SourceProblem where a workbook unpacks to far more than its size."""
    assert isinstance(file.path, Path)
    if not zipfile.is_zipfile(file.path):
        return
    expansion = Expansion(file, file.path.stat().st_size)
    with zipfile.ZipFile(file.path) as archive:
        for member in archive.infolist():
            expansion.add(member.file_size)


def check_rectangle(file: RawFile, sheet: str) -> dict[int, dict[int, str]]:
    """Return the error texts of a sheet's cells by row, from 1, and column, from 0; only an xlsx has them.

    Raises
    ------
    SourceProblem : its used cells lie so far apart that they do not fit into memory, or it is broken
    """
    assert isinstance(file.path, Path)
    if not zipfile.is_zipfile(file.path):
        return {}  # an xls has at most 65,536 rows of 256 cells
    try:
        rectangles, errors = _cells(file.path, sheet)
    except (BrokenSheet, ElementTree.ParseError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise SourceProblem(
            f"'{file.name}' is a broken workbook: its sheet '{sheet}' cannot be read: {error}.",
            fix="Deliver the file again.",
            file=file.name,
        ) from None
    max_cells = bound("CAUDAL_MAX_CELLS")
    for rectangle in rectangles:
        if rectangle.cells > max_cells or (rectangle.cells > _SPARSE_CELLS and rectangle.cells > _SPARSE * rectangle.used):
            raise SourceProblem(
                f"'{file.name}': the {rectangle.used:,} cells in use of the sheet '{sheet}' lie in a rectangle of {rectangle.cells:,} cells.",
                fix="Clear the cells that lie far from the table, or export it as CSV."
                + (" CAUDAL_MAX_CELLS allows more." if rectangle.cells > max_cells else ""),
                file=file.name,
            )
    return errors


def _cells(path: Path, sheet: str) -> tuple[list[Rectangle], dict[int, dict[int, str]]]:
    suffix = path.suffix.lower()
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
        if suffix in (".xlsx", ".xlsm"):
            if (part := part_of(archive, sheet)) is None:
                raise BrokenSheet("no part of it holds the sheet")
            cells = XlsxSheet().read(archive.open(part))
            return [cells.used], cells.errors
        if suffix == ".xlsb":
            return [xlsb_used(archive.read(name)) for name in names if _BINARY.fullmatch(name)], {}
        return [OdsSheet(sheet).read(archive.open("content.xml"))] if "content.xml" in names else [], {}
