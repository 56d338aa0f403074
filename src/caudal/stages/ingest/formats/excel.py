"""Workbooks (xlsx, xlsm, xlsb, xls, ods): each sheet becomes a file of texts, which are converted to their types afterwards like those of CSV."""

from __future__ import annotations

import datetime
import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.errors import DeclarationProblem, SourceProblem, nearest
from caudal.extras import require
from caudal.stages.ingest.formats.sheet_bounds import check_rectangle, check_size
from caudal.stages.ingest.named_files import parquet_rows
from caudal.stages.ingest.packed import parts_prefix
from caudal.stages.ingest.physical import Inspected, Options, Physical, PhysicalColumn, check_names
from caudal.stages.ingest.raw import RawFile, begins, check_whole, is_zip
from caudal.storage.place import Place

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from python_calamine import CalamineWorkbook

    SheetCell = int | float | str | bool | datetime.time | datetime.date | datetime.timedelta
    Row = tuple[int, list[SheetCell]]  # a row's number in the sheet, from 1, and its cells

FORMAT, ORDER, ENDINGS = "excel", 14, (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
READ_FROM_DISK = True
_ZIPPED = (".xlsx", ".xlsm", ".xlsb", ".ods")
OPTIONS = ("sheet", "header", "null", "decimal", "timestamp_format", "date_format")
_BATCH = 20_000
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB] 2.2: the container of old workbooks, and of encrypted new ones
_MIDNIGHT = datetime.time()


def parts(file: RawFile, options: Options, folder: Path) -> list[RawFile]:
    """Return the chosen sheets, each written to ``folder`` as a Parquet file of texts.

    Raises
    ------
    SourceProblem : the workbook is broken or locked, has no such sheet, or no rows
    """
    check_whole(file.path, "excel", file.name)
    check_size(file)
    book, names, visible = _open(file)
    chosen, note = _choose_sheets(file, options.get("sheet"), names, visible)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in chosen:
        target = folder / f"{parts_prefix(file)}-{names.index(name)}.parquet"
        if _write(file, book, name, options, target, note):
            part_name = file.name if len(chosen) == 1 else f"{file.name}[{name}]"
            files.append(RawFile(target, file.sha256, part_name, "excel"))
    if not files:
        raise SourceProblem(
            f"'{file.name}' holds no row in the sheet {' or '.join(repr(name) for name in chosen)}.",
            fix="Name the sheet that does with sheet=, or deliver the file again.",
            file=file.name,
        )
    return files


def fault(path: Place) -> str | None:
    """Return why a file's last bytes show that it is truncated, or None."""
    if path.suffix.lower() in _ZIPPED and begins(path, b"PK") and not is_zip(path):
        return "is truncated: it has no zip directory at its end"
    return None


def inspect(spark: SparkSession, file: RawFile, options: Options, expected: tuple[str, ...]) -> Inspected:
    """Return the columns of a sheet that was written by `parts`."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(file.path)
    metadata = json.loads(schema.metadata[b"sheet"])
    names = metadata["names"]
    if options.get("header", True) is False:
        if expected and len(expected) != len(names):
            raise SourceProblem(
                f"'{file.name}' has {len(names)} columns; {len(expected)} are declared and the sheet has no header.",
                fix="Declare a column for each of the sheet's, in its order.",
                file=file.name,
            )
        names = list(expected) or names
    check_names(file, tuple(names))
    columns = tuple(
        PhysicalColumn(name, "text", "cells", f"c{i}", guess=guess)
        for i, (name, guess) in enumerate(zip(names, metadata["guesses"], strict=True))
    )
    return Inspected(file, Physical("excel", columns), tuple(metadata["notes"]))


def frame(spark: SparkSession, files: list[RawFile], physical: Physical, used: list[PhysicalColumn]) -> DataFrame:
    """Return the used columns as text in ``_r0``, ``_r1`` …, with ``_file``."""
    from pyspark.sql import functions as F

    ddl = ", ".join(f"c{i} string" for i in range(len(physical.columns)))
    rows, name = parquet_rows(spark, files, ddl)
    return rows.select(*(F.col(column.ddl).alias(f"_r{i}") for i, column in enumerate(used)), name)


def _open(file: RawFile) -> tuple[CalamineWorkbook, list[str], list[str]]:
    """Return the workbook, the names of its worksheets, and those of the visible ones."""
    require("python_calamine", extra="excel", for_=f"Reading the workbook '{file.name}'")
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

    with file.path.open("rb") as raw:
        compound = raw.read(8) == _COMPOUND
    locked = SourceProblem(
        f"'{file.name}' is protected by a password.", fix="Save it without one; workbooks are not decrypted.", file=file.name
    )
    if compound and file.path.suffix in (".xlsx", ".xlsm", ".xlsb"):
        raise locked
    try:
        book = CalamineWorkbook.from_path(str(file.path))
    except PasswordError:
        raise locked from None
    except CalamineError as error:
        raise _broken_workbook_problem(file, error) from None
    sheets = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    return book, [sheet.name for sheet in sheets], [sheet.name for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible]


def _broken_workbook_problem(file: RawFile, error: Exception) -> SourceProblem:
    return SourceProblem(
        f"'{file.name}' is no workbook, or a broken one: {str(error).splitlines()[0].rstrip('.')}.",
        fix="Deliver the file again, as xlsx, xlsm, xlsb, xls or ods.",
        file=file.name,
    )


def _choose_sheets(file: RawFile, declared: object, names: list[str], visible: list[str]) -> tuple[list[str], str | None]:
    """Return the chosen sheets, and a note where others are left out by default."""
    if declared is None:
        candidates = visible or names
        others = ", ".join(repr(name) for name in candidates[1:6])
        return candidates[
            :1
        ], f"'{file.name}': the sheet '{candidates[0]}' is read, and not {others}; name others with sheet=." if others else None
    patterns = [declared] if isinstance(declared, str | int) else list(declared) if isinstance(declared, list | tuple) else []
    chosen: list[str] = []
    for pattern in patterns:
        if isinstance(pattern, int):
            matching = names[pattern - 1 : pattern] if pattern > 0 else []
        else:
            matching = [name for name in names if name == pattern] or [
                name for name in names if fnmatch.fnmatchcase(name, str(pattern))
            ]
        if not matching:
            raise SourceProblem(
                f"'{file.name}' has no sheet '{pattern}'; it has {', '.join(repr(name) for name in names)}.",
                nearest=nearest(str(pattern), names),
                fix="Pass sheet='NAME' to the connection; a list, or a pattern such as '20*', takes several.",
                file=file.name,
            )
        chosen += [name for name in matching if name not in chosen]
    return chosen, None


@dataclass(frozen=True)
class SheetRows:
    """The rows of a sheet.

    Parameters
    ----------
    names : of its columns; ``column_<place>`` where the header has none
    guesses : the type of each column's cells, None where it has no cell
    rows : number in the sheet, from 1, and the texts of the columns, for each row with a value
    is_chosen : bool, False for a sheet that is not chosen
    """

    names: list[str]
    guesses: list[str | None]
    rows: list[tuple[int, list[str | None]]]
    is_chosen: bool = True


def sheets(file: RawFile, options: Options) -> dict[str, SheetRows]:
    """Return every sheet of a workbook that has rows, by name: the chosen ones, and the others as they would be read.

    Raises
    ------
    SourceProblem : the workbook is broken or locked, or has no such sheet
    """
    check_whole(file.path, "excel", file.name)
    check_size(file)
    book, names, visible = _open(file)
    chosen, _ = _choose_sheets(file, options.get("sheet"), names, visible)
    result = {}
    for name in names:
        try:
            rows = _sheet(file, book, name, options)
        except SourceProblem:
            if name in chosen:
                raise
            rows = _sheet(file, book, name, {**options, "header": True})  # it may lack the header's row
        if rows is not None:
            result[name] = replace(rows, is_chosen=name in chosen)
    return result


def _write(file: RawFile, book: CalamineWorkbook, sheet: str, options: Options, target: Path, note: str | None) -> bool:
    """Write a sheet's rows as texts; return False if it has none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows_of_sheet = _sheet(file, book, sheet, options)
    if rows_of_sheet is None:
        return False
    metadata = {"names": rows_of_sheet.names, "guesses": rows_of_sheet.guesses, "notes": [note] if note else []}
    schema = pa.schema([(f"c{i}", pa.string()) for i in range(len(rows_of_sheet.names))], metadata={"sheet": json.dumps(metadata)})
    with pq.ParquetWriter(target, schema) as writer:
        for start in range(0, len(rows_of_sheet.rows), _BATCH):
            writer.write_batch(_batch([texts for _, texts in rows_of_sheet.rows[start : start + _BATCH]], schema))
    return True


def _sheet(file: RawFile, book: CalamineWorkbook, sheet: str, options: Options) -> SheetRows | None:
    """Return a sheet's rows as texts, None when it has none."""
    assert isinstance(file.path, Path)  # a local copy where the lake is remote
    errors = check_rectangle(file, sheet)
    rows = _rows(file, book, sheet, errors)
    header = _header(file, sheet, rows, options.get("header", True))
    if header is None:
        return None
    read_ahead, names = header
    comma = options.get("decimal") == ","
    kinds: list[set[str]] = []
    lines: list[tuple[int, list[str | None]]] = []
    for number, cells in read_ahead + list(rows):
        while len(kinds) < len(cells):
            kinds.append(set())
        line = []
        for i, cell in enumerate(cells):
            text, kind = _text(cell)
            if comma and kind == "double" and text is not None:
                text = text.replace(".", ",")  # like the texts in the same column
            if kind:
                kinds[i].add(kind)
            line.append(text)
        if any(text is not None for text in line):
            lines.append((number, line))
    # Columns with neither a name nor a value are the sheet's margin.
    width = max(len(kinds), len(names))
    used_columns = [i for i in range(width) if (i < len(names) and names[i]) or (i < len(kinds) and kinds[i])]
    return SheetRows(
        [(names[i] if i < len(names) else "") or f"column_{i}" for i in used_columns],
        [_guess(kinds[i] if i < len(kinds) else set()) for i in used_columns],
        [(number, [line[i] if i < len(line) else None for i in used_columns]) for number, line in lines],
    )


class _ErrorText(str):
    """The text of a cell with an error: it is not a value, and does not count for its column's type."""


def _rows(file: RawFile, book: CalamineWorkbook, sheet: str, errors: dict[int, dict[int, str]]) -> Iterator[Row]:
    """Yield the rows that have a value; cells with an error hold its name."""
    from python_calamine import CalamineError

    try:
        opened_sheet = book.get_sheet_by_name(sheet)
    except CalamineError as error:  # opening reads the workbook; a sheet is read on demand
        raise _broken_workbook_problem(file, error) from None
    first_column = (opened_sheet.start or (0, 0))[1]  # rows start at the sheet's first, columns at the first in use
    for number, row in enumerate(opened_sheet.iter_rows(), start=1):
        cells = [*row]
        for column, word in errors.get(number, {}).items():
            if 0 <= column - first_column < len(cells):
                cells[column - first_column] = _ErrorText(word)
        if any(cell != "" for cell in cells):
            yield number, cells


def _header(file: RawFile, sheet: str, rows: Iterator[Row], declared: object) -> tuple[list[Row], list[str]] | None:
    """Return the rows that were read ahead, and the columns' names; None if the sheet has no rows."""
    if declared is False:
        first_rows = list(islice(rows, 1))
        return (first_rows, []) if first_rows else None
    if declared is True or declared is None:
        row = next(rows, None)
        return ([], [_name(cell) for cell in row[1]]) if row else None
    if not isinstance(declared, int):
        raise DeclarationProblem(
            f"header={declared!r} is not a row number.", fix="Pass the row's number as Excel shows it, True or False."
        )
    for number, cells in rows:
        if number == declared:
            return [], [_name(cell) for cell in cells]
        if number > declared:
            break
    raise SourceProblem(
        f"'{file.name}' has no row {declared} in the sheet '{sheet}'.", fix="Pass the header's row with header=.", file=file.name
    )


def _name(cell: object) -> str:
    return (_text(cell)[0] or "").strip().replace("\n", " ")


def _text(cell: object) -> tuple[str | None, str]:
    """Return a cell as text, and its type."""
    if isinstance(cell, _ErrorText):
        return str(cell), ""
    if isinstance(cell, str):
        return (cell, "string") if cell != "" else (None, "")
    if isinstance(cell, bool):
        return str(cell).lower(), "boolean"
    if isinstance(cell, int | float):
        if float(cell).is_integer() and abs(cell) < 2**63:
            return str(int(cell)), "long"
        return repr(cell), "double"
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" "), "date" if cell.time() == _MIDNIGHT else "timestamp"
    if isinstance(cell, datetime.date):
        return cell.isoformat(), "date"
    return str(cell), "string"


def _guess(kinds: set[str]) -> str | None:
    """Return the type of a column whose cells have these types.

    Examples
    --------
    >>> _guess({"long", "double"}), _guess({"date"}), _guess({"date", "timestamp"}), _guess({"long", "string"}), _guess(set())
    ('double', 'date', 'timestamp', 'string', None)
    """
    for general, narrow in (("double", {"long", "double"}), ("timestamp", {"date", "timestamp"})):
        if general in kinds and kinds <= narrow:
            return general
    return next(iter(kinds)) if len(kinds) == 1 else "string" if kinds else None


def _batch(texts: list[list[str | None]], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [pa.array([line[i] for line in texts], pa.string()) for i in range(len(schema))]
    return pa.record_batch(columns, schema=schema)
