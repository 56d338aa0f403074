"""Rows → Parquet files: one snapshot of the database, one file a key range."""

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

from caudal.declarations.database import Database
from caudal.errors import SourceProblem
from caudal.stages.ingest.sql.columns import Column, columns, quoted, relation
from caudal.stages.ingest.sql.copy import copied, copyable
from caudal.stages.ingest.sql.known import Before, Brought, goes_on
from caudal.stages.ingest.sql.text_watermark import FIX, held
from caudal.storage.parquet import WRITTEN

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection, Engine

ROWS = 20_000  # that are in memory at once, of each range


@dataclass(frozen=True)
class Range:
    """Rows of a range of keys, in a file.

    Parameters
    ----------
    last : the greatest watermark that the database gave, of rows that were landed before too
    without : bool, whether a row has no watermark
    """

    file: Path
    rows: int
    last: Any
    without: bool


def extract(engine: Engine, source: Database, earlier: Before | None, folder: Path, mark: str) -> list[Range]:
    """Write the rows that are asked for into ``folder`` and return the files, all of one snapshot.

    Parameters
    ----------
    mark : str, written into each file: a file that continues a set is like no other, even when its rows are
    """
    low, known = goes_on(source, earlier)
    with _snapshot(engine) as (connection, others):
        found = columns(connection, source)
        form = held(connection, source, found)
        asked = form.written(low) if form is not None and isinstance(low, date) else low
        bounds = _bounds(connection, source, found, low)

        def take(number: int, using: Connection) -> Range:
            return _write(using, source, found, bounds[number], asked, known, folder / f"{number:03}.parquet", mark)

        if others is None or len(bounds) == 1:
            return [take(number, connection) for number in range(len(bounds))]
        with ThreadPoolExecutor(max_workers=len(bounds)) as threads:
            return list(threads.map(lambda number: _with(others, lambda using: take(number, using)), range(len(bounds))))


Open = Callable[[], Any]


def _with(others: Open, work: Callable[[Connection], Range]) -> Range:
    with others() as connection:
        return work(connection)


@contextmanager
def _snapshot(engine: Engine) -> Iterator[tuple[Connection, Open | None]]:
    """Yield a connection that sees one state of the database, and how to get more that see the same one, where that is possible."""
    from sqlalchemy import text
    from sqlalchemy.exc import ArgumentError

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
            # Times come in UTC, and a table that nobody changed comes in the same order again.
            for setting in ("timezone = 'UTC'", "synchronize_seqscans = off", "datestyle = 'ISO'", "intervalstyle = 'iso_8601'"):
                connection.exec_driver_sql(f"SET LOCAL {setting}")
            yield connection

    with reader(None) as connection:
        snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        yield connection, lambda: reader(str(snapshot))


def _bounds(connection: Connection, source: Database, found: Sequence[Column], low: Any) -> list[tuple[int | None, int | None]]:
    """Return the key ranges, each from its first key up to before its last; open at both ends."""
    from sqlalchemy import text

    if source.parallel == 1:
        return [(None, None)]
    key = next(one for one in found if one.name == source.key[0])
    name = quoted(connection, key.name)
    least, most = connection.execute(text(f"SELECT min({name}), max({name}) FROM {relation(connection, source)}")).one()  # noqa: S608
    if least is None:
        return [(None, None)]
    if not isinstance(least, int | Decimal) or isinstance(least, bool):
        raise SourceProblem(
            f"'{source.what}' at {source.address!r} cannot be taken in {source.parallel} ranges: its key '{key.name}' is no number.",
            fix="Name a key of numbers first, or leave parallel= out.",
            column=key.name,
        )
    width = (int(most) - int(least)) // source.parallel + 1
    edges = [int(least) + i * width for i in range(1, source.parallel) if int(least) + i * width <= int(most)]
    return list(zip([None, *edges], [*edges, None], strict=True))


def _write(
    connection: Connection, source: Database, found: Sequence[Column], bounds: tuple[int | None, int | None], low: Any,
    known: Brought | None, file: Path, mark: str,
) -> Range:  # fmt: skip
    import pyarrow as pa

    statement = _statement(connection, source, found, bounds, low)
    if copyable(connection, found):
        try:
            # Closed before the savepoint is left: a rollback would wait for a copy under way, for ever.
            with connection.begin_nested(), closing(copied(connection, statement, found)) as batches:
                return put(batches, source, found, known, file, mark)
        except pa.ArrowInvalid:
            pass  # a value that only the driver reads, or can tell what is wrong with
    return put(_fetched(connection, statement, source, found), source, found, known, file, mark)


def put(
    batches: Iterator[pa.RecordBatch], source: Database, found: Sequence[Column], known: Brought | None, file: Path, mark: str
) -> Range:
    """Write rows into a file, without those that were landed as they are."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows, last, without = 0, None, False
    first = next(batches, None)
    first = _batch([], found, None, source) if first is None else first
    notes = [f"'{one.name}' of '{source.what}' is kept as text: {one.why}." for one in found if one.why]
    schema = first.schema.with_metadata({"caudal.notes": json.dumps(notes), "caudal.extraction": mark})
    with pq.ParquetWriter(file, schema, compression="zstd", **WRITTEN) as writer:
        for batch in chain([first], batches):
            if source.watermark:
                column = batch.column(source.watermark)
                top = pc.max(_comparable(column, source)).as_py()
                last = top if last is None or (top is not None and top > last) else last
                without = without or column.null_count > 0
            kept = batch if known is None else known.new(batch)
            writer.write_batch(kept)
            rows += kept.num_rows
    return Range(file, rows, last, without)


def _comparable(column: pa.Array, source: Database) -> pa.Array:
    """Return watermarks, when they have an order that the database and caudal share.

    Raises
    ------
    SourceProblem : they are bytes, yes and no, or not a number
    """
    import pyarrow.compute as pc
    import pyarrow.types as t

    type = column.type
    ordered = t.is_integer(type) or t.is_floating(type) or t.is_decimal(type) or t.is_string(type) or t.is_temporal(type)
    if not (ordered or t.is_null(type)) or (t.is_floating(type) and pc.any(pc.is_nan(column)).as_py()):
        raise SourceProblem(
            f"'{source.what}' at {source.address!r} has the watermark '{source.watermark}', which is {type if not ordered else 'NaN in a row'}"
            " and tells no row's place among the others.",
            fix=FIX,
            column=source.watermark,
        )
    return column


def _fetched(connection: Connection, statement: Any, source: Database, found: Sequence[Column]) -> Iterator[pa.RecordBatch]:
    """Yield rows through the driver's cursor, which knows every type."""
    result = connection.execution_options(stream_results=True, yield_per=ROWS).execute(statement)
    schema: pa.Schema | None = None
    try:
        for part in result.partitions():
            batch = _batch(part, found, schema, source)
            schema = batch.schema
            yield batch
    except (TypeError, ValueError, ArithmeticError) as error:  # SQLite's columns take any value, whatever their type says
        result.close()
        raise _no_value(connection, statement, source, found, error) from None
    finally:
        result.close()


def _no_value(connection: Connection, statement: Any, source: Database, found: Sequence[Column], error: Exception) -> SourceProblem:
    """Return the problem of a value that is not of its column's type, which is named: the rows are asked for again, as they are stored."""
    makers = [
        (one, one.told.dialect_impl(connection.dialect).result_processor(connection.dialect, None)) for one in found if one.told
    ]
    places = {one.name: place for place, one in enumerate(found)}
    name, shown = None, str(error)
    for row in connection.execute(statement.element if hasattr(statement, "element") else statement):
        for one, make in makers:
            try:
                make(row[places[one.name]]) if make else None
            except (TypeError, ValueError, ArithmeticError):
                name, shown = one.name, f"{row[places[one.name]]!r}, which is no {one.type}"
                break
        if name is not None:
            break
    where = f"in column '{name}' " if name is not None else ""
    return SourceProblem(
        f"'{source.what}' at {source.address!r} holds a value {where}that is not of its column's type: {shown}.",
        fix=f"Ask for it in a query that makes it so: CAST({name or '…'} AS …).",
        **({"column": name} if name is not None else {}),
    )


def _statement(
    connection: Connection, source: Database, found: Sequence[Column], bounds: tuple[int | None, int | None], low: Any
) -> Any:
    from sqlalchemy import bindparam, text

    wanted: list[str] = []
    given: list[Any] = []
    key = quoted(connection, source.key[0]) if source.key else ""
    if bounds[0] is not None:
        wanted.append(f"{key} >= :least")
        given.append(bindparam("least", bounds[0]))
    if bounds[1] is not None:
        wanted.append(f"({key} < :most OR {key} IS NULL)" if bounds[0] is None else f"{key} < :most")
        given.append(bindparam("most", bounds[1]))
    if low is not None and source.watermark:
        column = quoted(connection, source.watermark)
        wanted.append(f"({column} >= :low OR {column} IS NULL)")
        given.append(bindparam("low", low))
    asked = ", ".join(f"{one.asked} AS {quoted(connection, one.name)}" for one in found)
    where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
    order = f" ORDER BY {', '.join(quoted(connection, column) for column in source.key)}" if source.key else ""
    statement = text(f"SELECT {asked} FROM {relation(connection, source)}{where}{order}").bindparams(*given)  # noqa: S608
    return statement.columns(**{one.name: one.told for one in found if one.told is not None})


def _batch(rows: Sequence[Any], found: Sequence[Column], schema: pa.Schema | None, source: Database) -> pa.RecordBatch:
    """Return rows as Arrow; a column whose type nobody tells is of the type of its first values."""
    import pyarrow as pa

    arrays = []
    columns = list(zip(*rows, strict=True)) or [()] * len(found)
    for place, (one, values) in enumerate(zip(found, columns, strict=True)):
        type = one.type if schema is None else schema.field(place).type
        try:
            array = pa.array(values, type)
            arrays.append(array.cast(pa.string()) if type is None and pa.types.is_null(array.type) else array)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise SourceProblem(
                f"Column '{one.name}' of '{source.what}' at {source.address!r} holds a value that is no {type or 'one type'}:"
                f" {str(error).splitlines()[0]}",
                fix="Ask for it in a query that makes it so: CAST(… AS …), or NULLIF for NaN and infinity.",
                column=one.name,
            ) from None
    return pa.RecordBatch.from_arrays(arrays, names=[one.name for one in found])
