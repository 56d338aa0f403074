"""Extract rows into Parquet files: one snapshot of the database, one file per key range."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as t
from sqlalchemy import bindparam, text
from sqlalchemy.exc import ArgumentError

from caudal.declarations.database import Database
from caudal.errors import SourceProblem
from caudal.stages.ingest.sql.columns import SourceColumn, quote_name, relation, source_columns
from caudal.stages.ingest.sql.copy import can_copy, copy_batches
from caudal.stages.ingest.sql.earlier import EarlierExtractions, LandedRows, Watermark, resume_from
from caudal.stages.ingest.sql.text_watermark import FIX, check_watermarks
from caudal.storage.parquet import WRITTEN

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine
    from sqlalchemy.sql.expression import BindParameter
    from sqlalchemy.sql.selectable import TextualSelect

ROWS = 20_000  # rows of each range that are in memory at once


@dataclass(frozen=True)
class RangeFile:
    """The file of a range of keys.

    Parameters
    ----------
    last : the greatest watermark that the database returned, including rows that were landed before
    has_null : bool, whether a row has no watermark
    """

    file: Path
    rows: int
    last: Watermark | None
    has_null: bool


def extract(engine: Engine, source: Database, earlier: EarlierExtractions | None, folder: Path, mark: str) -> list[RangeFile]:
    """Write the new rows into ``folder`` and return the files, all of one snapshot.

    Parameters
    ----------
    mark : str, written into each file, so that a file that continues a set is unique even if its rows are not
    """
    low, landed_rows = resume_from(source, earlier)
    with _snapshot(engine) as (connection, open_connection):
        columns_ = source_columns(connection, source)
        form = check_watermarks(connection, source, columns_)
        low_watermark = form.format_moment(low) if form is not None and isinstance(low, date) else low
        bounds = _bounds(connection, source, columns_, low)

        def extract_range(number: int, range_connection: Connection) -> RangeFile:
            return _write(
                range_connection,
                source,
                columns_,
                bounds[number],
                low_watermark,
                landed_rows,
                folder / f"{number:03}.parquet",
                mark,
            )

        if open_connection is None or len(bounds) == 1:
            return [extract_range(number, connection) for number in range(len(bounds))]
        with ThreadPoolExecutor(max_workers=len(bounds)) as threads:
            return list(
                threads.map(
                    lambda number: _with_connection(open_connection, lambda using: extract_range(number, using)), range(len(bounds))
                )
            )


Open = Callable[[], "AbstractContextManager[Connection]"]


def _with_connection(open_connection: Open, work: Callable[[Connection], RangeFile]) -> RangeFile:
    with open_connection() as connection:
        return work(connection)


@contextmanager
def _snapshot(engine: Engine) -> Iterator[tuple[Connection, Open | None]]:
    """Yield a connection that sees one state of the database, and where possible a function that opens more with the same state."""
    if engine.dialect.name != "postgresql":
        with engine.connect() as connection:
            with suppress(ArgumentError):  # SQLite's transactions are serializable
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            yield connection, None
        return

    @contextmanager
    def reader(snapshot: str | None) -> Iterator[Connection]:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
            if snapshot is not None:
                connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            # Times are returned in UTC, and an unchanged table is returned in the same order again.
            for setting in ("timezone = 'UTC'", "synchronize_seqscans = off", "datestyle = 'ISO'", "intervalstyle = 'iso_8601'"):
                connection.exec_driver_sql(f"SET LOCAL {setting}")
            yield connection

    with reader(None) as connection:
        snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        yield connection, lambda: reader(str(snapshot))


def _bounds(
    connection: Connection, source: Database, columns: Sequence[SourceColumn], low: Watermark | None
) -> list[tuple[int | None, int | None]]:
    """Return the key ranges, each with its first key and the first key after it; open at both ends."""
    if source.parallel == 1:
        return [(None, None)]
    key = next(column for column in columns if column.name == source.key[0])
    name = quote_name(connection, key.name)
    least, greatest = connection.execute(text(f"SELECT min({name}), max({name}) FROM {relation(connection, source)}")).one()  # noqa: S608
    if least is None:
        return [(None, None)]
    if not isinstance(least, int | Decimal) or isinstance(least, bool):
        raise SourceProblem(
            f"'{source.what}' at {source.address!r} cannot be read in {source.parallel} ranges: its key '{key.name}' is no number.",
            fix="Name a key of numbers first, or leave parallel= out.",
            column=key.name,
        )
    width = (int(greatest) - int(least)) // source.parallel + 1
    edges = [int(least) + i * width for i in range(1, source.parallel) if int(least) + i * width <= int(greatest)]
    return list(zip([None, *edges], [*edges, None], strict=True))


def _write(
    connection: Connection, source: Database, columns: Sequence[SourceColumn], bounds: tuple[int | None, int | None], low: Watermark | None,
    landed_rows: LandedRows | None, file: Path, mark: str,
) -> RangeFile:  # fmt: skip
    statement = _statement(connection, source, columns, bounds, low)
    if can_copy(connection, columns):
        try:
            # Closed before the savepoint is left: a rollback would wait for ever for a running copy.
            with connection.begin_nested(), closing(copy_batches(connection, statement, columns)) as batches:
                return write_batches(batches, source, columns, landed_rows, file, mark)
        except pa.ArrowInvalid:
            pass  # a value that only the driver can read or report
    return write_batches(_fetch(connection, statement, source, columns), source, columns, landed_rows, file, mark)


def write_batches(
    batches: Iterator[pa.RecordBatch],
    source: Database,
    columns: Sequence[SourceColumn],
    landed_rows: LandedRows | None,
    file: Path,
    mark: str,
) -> RangeFile:
    """Write rows into a file, without those that were landed before unchanged."""
    rows, newest, has_null = 0, None, False
    first_batch = next(batches, None)
    first_batch = _batch([], columns, None, source) if first_batch is None else first_batch
    notes = [f"'{column.name}' of '{source.what}' is kept as text: {column.why}." for column in columns if column.why]
    schema = first_batch.schema.with_metadata({"caudal.notes": json.dumps(notes), "caudal.extraction": mark})
    with pq.ParquetWriter(file, schema, compression="zstd", **WRITTEN) as writer:
        for batch in chain([first_batch], batches):
            if source.watermark:
                column = batch.column(source.watermark)
                batch_newest = pc.max(_comparable(column, source)).as_py()
                newest = batch_newest if newest is None or (batch_newest is not None and batch_newest > newest) else newest
                has_null = has_null or column.null_count > 0
            new_rows = batch if landed_rows is None else landed_rows.new(batch)
            writer.write_batch(new_rows)
            rows += new_rows.num_rows
    return RangeFile(file, rows, newest, has_null)


def _comparable(column: pa.Array, source: Database) -> pa.Array:
    """Return watermarks after checking that the database and caudal order them alike.

    Raises
    ------
    SourceProblem : they are bytes, booleans, or NaN
    """
    type = column.type
    ordered = t.is_integer(type) or t.is_floating(type) or t.is_decimal(type) or t.is_string(type) or t.is_temporal(type)
    if not (ordered or t.is_null(type)) or (t.is_floating(type) and pc.any(pc.is_nan(column)).as_py()):
        raise SourceProblem(
            f"'{source.what}' at {source.address!r} has the watermark '{source.watermark}', which is {type if not ordered else 'NaN in a row'}"
            " and cannot order the rows.",
            fix=FIX,
            column=source.watermark,
        )
    return column


def _fetch(
    connection: Connection, statement: TextualSelect, source: Database, columns: Sequence[SourceColumn]
) -> Iterator[pa.RecordBatch]:
    """Yield rows through the driver's cursor, which knows every type."""
    result = connection.execution_options(stream_results=True, yield_per=ROWS).execute(statement)
    schema: pa.Schema | None = None
    try:
        for part in result.partitions():
            batch = _batch(part, columns, schema, source)
            schema = batch.schema
            yield batch
    except (TypeError, ValueError, ArithmeticError) as error:  # SQLite's columns accept any value, whatever their type
        result.close()
        raise _invalid_value_problem(connection, statement, source, columns, error) from None
    finally:
        result.close()


def _invalid_value_problem(
    connection: Connection, statement: TextualSelect, source: Database, columns: Sequence[SourceColumn], error: Exception
) -> SourceProblem:
    """Return the problem of a value that is not of its column's type; the rows are read again, unconverted, to name the column."""
    converters = [
        (column, column.sqlalchemy_type.dialect_impl(connection.dialect).result_processor(connection.dialect, None))
        for column in columns
        if column.sqlalchemy_type
    ]
    places = {column.name: place for place, column in enumerate(columns)}
    name, value_text = None, str(error)
    for row in connection.execute(statement.element if hasattr(statement, "element") else statement):
        for column, convert in converters:
            try:
                convert(row[places[column.name]]) if convert else None
            except (TypeError, ValueError, ArithmeticError):
                name, value_text = column.name, f"{row[places[column.name]]!r}, which is no {column.type}"
                break
        if name is not None:
            break
    column_text = f"in column '{name}' " if name is not None else ""
    return SourceProblem(
        f"'{source.what}' at {source.address!r} holds a value {column_text}that is not of its column's type: {value_text}.",
        fix=f"Convert it in a query: CAST({name or '…'} AS …).",
        **({"column": name} if name is not None else {}),
    )


def _statement(
    connection: Connection,
    source: Database,
    columns: Sequence[SourceColumn],
    bounds: tuple[int | None, int | None],
    low: Watermark | None,
) -> TextualSelect:
    conditions: list[str] = []
    parameters: list[BindParameter[Any]] = []
    key = quote_name(connection, source.key[0]) if source.key else ""
    if bounds[0] is not None:
        conditions.append(f"{key} >= :least")
        parameters.append(bindparam("least", bounds[0]))
    if bounds[1] is not None:
        conditions.append(f"({key} < :most OR {key} IS NULL)" if bounds[0] is None else f"{key} < :most")
        parameters.append(bindparam("most", bounds[1]))
    if low is not None and source.watermark:
        column = quote_name(connection, source.watermark)
        conditions.append(f"({column} >= :low OR {column} IS NULL)")
        parameters.append(bindparam("low", low))
    selected = ", ".join(f"{column.sql} AS {quote_name(connection, column.name)}" for column in columns)
    condition = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = f" ORDER BY {', '.join(quote_name(connection, column) for column in source.key)}" if source.key else ""
    statement = text(f"SELECT {selected} FROM {relation(connection, source)}{condition}{order}").bindparams(*parameters)  # noqa: S608
    return statement.columns(**{column.name: column.sqlalchemy_type for column in columns if column.sqlalchemy_type is not None})


def _batch(
    rows: Sequence[Sequence[object]], columns: Sequence[SourceColumn], schema: pa.Schema | None, source: Database
) -> pa.RecordBatch:
    """Return rows as Arrow; a column without a declared type has the type of its first values."""
    arrays = []
    values_by_column = list(zip(*rows, strict=True)) or [()] * len(columns)
    for place, (column, values) in enumerate(zip(columns, values_by_column, strict=True)):
        type = column.type if schema is None else schema.field(place).type
        try:
            array = pa.array(values, type)
            arrays.append(array.cast(pa.string()) if type is None and pa.types.is_null(array.type) else array)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise SourceProblem(
                f"Column '{column.name}' of '{source.what}' at {source.address!r} holds a value that is no {type or 'one type'}:"
                f" {str(error).splitlines()[0]}",
                fix="Convert it in a query: CAST(… AS …), or NULLIF for NaN and infinity.",
                column=column.name,
            ) from None
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
