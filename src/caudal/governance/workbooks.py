"""A subject's rows in workbooks: found in every readable kind, and removed from an xlsx if all else stays as it is.

The cells of a row are emptied, and the row stays: references of formulas, tables and header rows to other rows stay right, and readers
skip a row without values.
"""

from __future__ import annotations

import io
import re
import shutil
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from caudal.errors import NotThere
from caudal.extras import require
from caudal.stages.ingest.formats.excel import SheetRows, sheets
from caudal.stages.ingest.raw import RawFile
from caudal.tables.raw_records import Is, with_comma

if TYPE_CHECKING:
    from openpyxl import Workbook

Marked = Mapping[str, set[int]]
_FIX = "Erase it at its origin and deliver the file again."
_CARRIED = re.compile(
    r"\[Content_Types\]\.xml|_rels/\.rels|docProps/(app|core|custom)\.xml|xl/(workbook|styles|sharedStrings|calcChain)\.xml|xl/_rels/[^/]+\.rels"
    r"|xl/worksheets/(_rels/)?[^/]+|xl/theme/[^/]+|xl/tables/[^/]+|xl/printerSettings/[^/]+",
    re.IGNORECASE,
)  # parts that openpyxl preserves, or that only hold print settings
_ABOUT = ("docProps/core.xml", "docProps/app.xml")
_TELLING = 4  # characters; shorter text, numbers, times and truth values may occur anywhere
_PLAIN = re.compile(r"[\d\s:.,+\-TZeE]*|true|false")


def edit_workbook(
    file: Path, column: str, is_subject: Is, to: Path | None, *, options: Mapping[str, object], names: Sequence[str]
) -> tuple[int, int]:
    """Return how many rows of a workbook are the subject's, and how many of the read ones are not; write it without them to ``to``.

    Sheets that the source does not read are searched too, by their own header.

    Raises
    ------
    NotThere : rows are the subject's, and the workbook cannot be written without them while all else stays as it is
    SourceProblem : the workbook is broken or locked
    """
    if options.get("decimal") == ",":
        is_subject = with_comma(is_subject)
    before = _sheets(file, options, names)
    marked = {name: _subject_rows(sheet, column, is_subject) for name, sheet in before.items()}
    removed = sum(map(len, marked.values()))
    remaining = sum(len(sheet.rows) for sheet in before.values() if sheet.is_chosen) - sum(
        len(marked[name]) for name, sheet in before.items() if sheet.is_chosen
    )
    if to is not None and not removed:
        shutil.copyfile(file, to)
    elif to is not None:
        _write(file, to, marked)
        _hold(file, to, before, _sheets(to, options, names), marked)
    return removed, remaining


def _sheets(file: Path, options: Mapping[str, object], names: Sequence[str]) -> dict[str, SheetRows]:
    sheet_rows = sheets(RawFile(file, "", file.name, "excel"), options)
    if options.get("header", True) is False and names:
        return {
            name: SheetRows(_with_names(sheet.names, names), sheet.guesses, sheet.rows, sheet.is_chosen)
            for name, sheet in sheet_rows.items()
        }
    return sheet_rows


def _with_names(plain: list[str], names: Sequence[str]) -> list[str]:
    return [*names[: len(plain)], *plain[len(names) :]]


def _subject_rows(sheet: SheetRows, column: str, is_subject: Is) -> set[int]:
    """Return the numbers of the rows that are the subject's."""
    places = [at for at, name in enumerate(sheet.names) if name.lower() == column.lower()]
    return {number for number, texts in sheet.rows if any(texts[at] is not None and is_subject(texts[at]) for at in places)}


def _write(file: Path, to: Path, marked: Marked) -> None:
    """Write a workbook in which the cells of some rows are empty."""
    kind = file.suffix.lower()
    if kind != ".xlsx":
        raise NotThere(f"workbooks of the kind {kind[1:] or 'without an ending'} can be searched, and not be written", fix=_FIX)
    with zipfile.ZipFile(file) as package:
        lost_parts = [name for name in package.namelist() if not name.endswith("/") and not _CARRIED.fullmatch(name)]
    if lost_parts:
        raise NotThere(f"its part '{lost_parts[0]}' would be lost when it is written without them", fix=_FIX)
    require("openpyxl", extra="excel", for_="Writing workbooks without rows")
    import openpyxl
    from openpyxl.cell.cell import MergedCell

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            book = openpyxl.load_workbook(file, rich_text=True)
    except Warning as warning:  # the part that it warns about is lost
        raise NotThere(f"something of it would be lost when it is written without them: {warning}", fix=_FIX) from None
    for name, numbers in marked.items():
        for number in numbers:
            for cell in next(book[name].iter_rows(min_row=number, max_row=number)):
                if isinstance(cell, MergedCell) or cell.comment is not None or cell.hyperlink is not None:
                    raise NotThere(
                        f"row {number} of its sheet '{name}' has cells that are merged, linked or commented on, and cannot be emptied",
                        fix=_FIX,
                    )
                cell.value = None
    _save(book, file, to)


def _save(book: Workbook, file: Path, to: Path) -> None:
    """Save a workbook with the author and times of the old one, so that the same rows give the same bytes, even after a kill."""
    saved = io.BytesIO()
    book.save(saved)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(saved) as package, zipfile.ZipFile(to, "w") as new:
        times = {part.filename: part.date_time for part in old.infolist()}
        for name in package.namelist():
            content = (old if name in _ABOUT and name in times else package).read(name)
            new.writestr(zipfile.ZipInfo(name, times.get(name, (1980, 1, 1, 0, 0, 0))), content, zipfile.ZIP_DEFLATED)


def _hold(file: Path, new: Path, before: Mapping[str, SheetRows], after: Mapping[str, SheetRows], marked: Marked) -> None:
    """Raise unless the new workbook equals the old one without the rows, and no other part of it repeats a row's text."""
    for name, sheet in before.items():
        rows = [row for row in sheet.rows if row[0] not in marked[name]]
        sheet_after = after.get(name)
        if sheet_after is None or (sheet_after.names, sheet_after.rows, sheet_after.is_chosen) != (
            sheet.names,
            rows,
            sheet.is_chosen,
        ):
            raise NotThere(f"other rows of its sheet '{name}' would not be read as they are (formulas, for one)", fix=_FIX)
    cells = _cells(new, {})
    if _cells(file, marked) != cells:
        raise NotThere("other cells of it would not be what they are (formulas, for one)", fix=_FIX)
    removed_texts = {
        text for name, sheet in before.items() for number, texts in sheet.rows if number in marked[name] for text in texts if text
    }
    remaining_text = "\n".join(str(cell) for _, of_sheet in cells for cell in of_sheet.values())
    identifying = [
        text for text in removed_texts if len(text) >= _TELLING and not _PLAIN.fullmatch(text) and text not in remaining_text
    ]
    with zipfile.ZipFile(new) as package:
        for part in package.namelist():
            if any(text in words for words in _words(package.read(part)) for text in identifying):
                raise NotThere(f"its part '{part}' repeats what the rows say", fix=_FIX)


def _words(part: bytes) -> Iterator[str]:
    """Yield the texts of a part; openpyxl has written it, so it is XML."""
    return (element.text for element in ElementTree.fromstring(part).iter() if element.text)  # noqa: S314


def _cells(file: Path, marked: Marked) -> list[tuple[tuple[str, str], dict[tuple[int, int], object]]]:
    """Return each sheet's name and state, and its non-empty cells by row and column, without some rows."""
    require("python_calamine", extra="excel", for_="Reading workbooks")
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(str(file))
    result = []
    for metadata in book.sheets_metadata:
        sheet = book.get_sheet_by_name(metadata.name)
        first_column = (sheet.start or (0, 0))[1]
        cells: dict[tuple[int, int], object] = {
            (number, first_column + at): cell
            for number, row in enumerate(sheet.iter_rows(), start=1)
            if number not in marked.get(metadata.name, ())
            for at, cell in enumerate(row) if cell != ""
        }  # fmt: skip
        result.append(((metadata.name, str(metadata.visible)), cells))
    return result
