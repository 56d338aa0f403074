"""CSV files as Parquet files of their records: for files that Spark would misread, and for engines whose readers keep no line that is no record."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.choice import session_engine
from caudal.engine.protocol import lack
from caudal.engine.settings import usable_cores
from caudal.errors import SourceProblem
from caudal.stages.ingest.formats.bytes import open_plain
from caudal.stages.ingest.formats.csv_records import BLANKS, Dialect, Record, split_records
from caudal.stages.ingest.named_files import parquet_rows, process_folder
from caudal.stages.ingest.packed import parts_prefix
from caudal.stages.ingest.physical import WRONG_WIDTH, Physical, PhysicalColumn
from caudal.stages.ingest.raw import RawFile

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import csv
    from pyspark.sql import DataFrame, SparkSession

SHOWN = 11  # faulty lines that a note names, plus one
_WRITTEN_CHARACTERS = 1 << 24
_ARROW_BLOCK = 1 << 24
_BY_ARROW = "-text.parquet"  # the end of the name of a file without a line that is no record


def text_frame(spark: SparkSession, files: Sequence[RawFile], physical: Physical, used: Sequence[PhysicalColumn]) -> DataFrame:
    """Return the used columns of plain files as text in ``_r0``, ``_r1`` …, with ``_file``, and ``_line`` where a file has a line that is not
    a record of its width.

    Raises
    ------
    EngineLacks : text after the last separator, whose line Spark's reader gives in another form
    """
    if dict(physical.dialect)["trailing"] == "true":
        raise lack(session_engine(spark), Capability.CORRUPT_RECORDS, "A file whose rows end with a separator")
    folder = Path(tempfile.mkdtemp(dir=process_folder()))
    with ThreadPoolExecutor(usable_cores()) as threads:
        targets = list(threads.map(lambda file: _as_parquet(file, physical, folder), files))
    ddl = ", ".join(f"c{i} string" for i in range(len(physical.columns)))
    lines = []
    if not all(target.name.endswith(_BY_ARROW) for target in targets):
        ddl, lines = f"{ddl}, _line string", ["_line"]
    rows, name = parquet_rows(spark, [replace(file, path=target) for file, target in zip(files, targets, strict=True)], ddl)
    places = {column.name: i for i, column in enumerate(physical.columns)}
    texts = [f"c{places[column.name]} AS _r{i}" for i, column in enumerate(used)]
    return rows.select("*", name).selectExpr(*texts, *lines, "_file")


def _as_parquet(file: RawFile, physical: Physical, folder: Path) -> Path:
    """Return a Parquet file of a file's records: Arrow reads it, unless that would split it into others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = folder / f"{parts_prefix(file)}{_BY_ARROW}"
    names = [f"c{i}" for i in range(len(physical.columns))]
    schema = pa.schema([(name, pa.string()) for name in names])
    try:
        with pq.ParquetWriter(target, schema) as writer:
            for batch in csv_batches([file], physical, physical.columns, nulls=True):
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    except UnlikeSpark:
        options = dict(physical.dialect)
        dialect = Dialect(options["sep"], options["quote"] or None, options["comment"], options["multiLine"] == "true")
        _, target = write_records(file, options["encoding"], dialect, len(names), options["header"] == "true", False, folder)
    return target


def csv_batches(
    files: Sequence[RawFile], physical: Physical, used: Sequence[PhysicalColumn], *, nulls: bool = False
) -> Iterator[pa.RecordBatch]:
    """Yield the used columns of files, read by Arrow in this process: the same texts as Spark reads.

    Parameters
    ----------
    nulls : whether an empty field without quotes is null, as Spark reads it, or an empty text

    Raises
    ------
    UnlikeSpark : Spark splits the files into other records, or may
    """
    import pyarrow as pa
    from pyarrow import csv

    dialect_options = dict(physical.dialect)
    if (
        "recorded" in dialect_options
        or dialect_options["comment"]
        or dialect_options["trailing"] == "true"
        or dialect_options["encoding"] not in ("UTF-8", "US-ASCII")
    ):
        raise UnlikeSpark

    def refuse(row: csv.InvalidRow) -> str:
        refused.append(row.number)
        return "skip"

    refused: list[int | None] = []
    parsing = csv.ParseOptions(
        delimiter=dialect_options["sep"],
        quote_char=dialect_options["quote"] or False,
        newlines_in_values=dialect_options["multiLine"] == "true",
        invalid_row_handler=refuse,
    )
    names = list(physical.names)
    reading = csv.ReadOptions(block_size=_ARROW_BLOCK, column_names=names)
    converting = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=[column.name for column in used],
        strings_can_be_null=nulls,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    for file in files:
        header = dialect_options["header"] == "true"
        try:
            with open_plain(file.path) as raw:
                for batch in csv.open_csv(raw, reading, parsing, converting):
                    yield batch.slice(1) if header and len(batch) else batch
                    header = header and not len(batch)
        except pa.ArrowInvalid:
            raise UnlikeSpark from None
        if refused:
            raise UnlikeSpark


class UnlikeSpark(Exception):
    """Raised where Arrow would read a file differently from Spark."""


def write_records(
    file: RawFile, encoding: str, dialect: Dialect, width: int, header: bool, trailing: bool, scratch: Path
) -> tuple[list[Record], Path]:
    """Write the records of a file as Parquet, and return the first faulty records and the path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch / f"{parts_prefix(file)}-records.parquet"
    names = [f"c{i}" for i in range(width)]
    schema = pa.schema([*((name, pa.string()) for name in (*names, "_line", "_fault")), ("_number", pa.int64())])
    faults: list[Record] = []
    rows: list[list[str | None]] = []
    fault_rows: list[tuple[str | None, str | None, int | None]] = []
    with open_plain(file.path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
        lines = split_records(_without_bom(text), dialect)
        if (
            header
            and (header_record := next((record for record in lines if holds_something(record)), None)) is not None
            and header_record.fault
        ):
            raise SourceProblem(
                f"'{file.name}': line {header_record.line}, the header, is no record: {header_record.fault}.", file=file.name
            )
        with pq.ParquetWriter(target, schema) as writer:

            def write() -> None:
                columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)] if width else []
                fault_columns = [
                    pa.array(column, type)
                    for column, type in zip(zip(*fault_rows, strict=True), (pa.string(), pa.string(), pa.int64()), strict=True)
                ]
                writer.write_batch(pa.record_batch([*columns, *fault_columns], schema=schema))
                rows.clear()
                fault_rows.clear()

            size = 0
            for record in lines:
                fields, fault = record.fields, record.fault
                if fault is None and (len(fields) != width + trailing or (trailing and fields[-1])):
                    fault = WRONG_WIDTH
                if fault is not None:
                    fields = [None] * width
                    faults += [record] if len(faults) < SHOWN else []
                rows.append(fields[:width])
                fault_rows.append((None, None, None) if fault is None else (record.raw, fault, record.line))
                size += len(record.raw)
                if size > _WRITTEN_CHARACTERS:
                    write()
                    size = 0
            if rows:
                write()
    return faults, target


def _without_bom(text: io.TextIOWrapper) -> Iterator[str]:
    first_line = text.readline()
    if first_line:
        yield first_line.removeprefix("\ufeff")
    yield from text


def holds_something(record: Record) -> bool:
    """Return whether a line holds more than blanks (separating tabs are blanks, too); a header does."""
    return bool(record.fault or record.raw.strip(BLANKS))
