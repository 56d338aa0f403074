"""Raw files without one subject's rows: the only case in which raw bytes change (ADR 9).

The new content is stored first, then the ledger names it instead of the old one and keeps a tombstone (old hash → new hash), then the
old bytes are deleted. A content that has a tombstone is not landed again: the new content stands in for its hash.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import insert, update

from caudal.errors import NotThere
from caudal.extras import require
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed, tombstones
from caudal.ledger.rows import LandedRow
from caudal.storage.place import Place, put
from caudal.tables.landing import store_path
from caudal.tables.raw_records import Is, RawKind, has_subject, open_unpacked, raw_records

if TYPE_CHECKING:
    import fastavro

AT_ORIGIN = "Erase it at its origin and deliver the files again."


def count_subject_rows(file: Path, kind: RawKind, column: str, is_subject: Is) -> int:
    """Return how many rows of a raw file are the subject's.

    Raises
    ------
    NotThere : files of this format cannot be searched
    """
    if kind.edit is not None:
        return kind.edit(file, column, is_subject, None)[0]
    if kind.format in _WHOLE:
        return _WHOLE[kind.format](file, column, is_subject, None)[0]
    with open_unpacked(file, "rb") as raw:
        return sum(is_mine for _, is_mine in raw_records(raw, kind, column, is_subject))


def without(file: Path, to: Path, kind: RawKind, column: str, is_subject: Is) -> tuple[int, int]:
    """Write a raw file without the subject's rows, all else byte for byte; return the counts of removed and kept rows.

    Raises
    ------
    NotThere : this file can be searched, but cannot be written without the rows
    """
    if kind.edit is not None:
        return kind.edit(file, column, is_subject, to)
    if kind.format in _WHOLE:
        return _WHOLE[kind.format](file, column, is_subject, to)
    removed = remaining = 0
    with open_unpacked(file, "rb") as raw, open_unpacked(to, "wb", like=file) as new:
        for piece, is_mine in raw_records(raw, kind, column, is_subject):
            removed += is_mine
            if not is_mine:
                new.write(piece)
                remaining += kind.format != "json" or bool(piece.strip(b"[] \t\r\n,"))  # text between values is not a record
    return removed, remaining - (1 if kind.format == "csv" and kind.options.get("header", True) else 0)


def array_mask(values: pa.Array | pa.ChunkedArray, name: str, columns: set[str], is_subject: Is) -> pa.BooleanArray:
    """Return a mask of an Arrow column's values that are the subject's, or contain it under one of some names.

    Each distinct value is tested once, however the column stores it.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.ExtensionArray):
        return pa.array([is_subject(value) for value in values.to_pylist()], pa.bool_()) if name in columns else _no_match(values)
    if pa.types.is_dictionary(values.type) or pa.types.is_run_end_encoded(values.type):
        values = pc.run_end_decode(values) if pa.types.is_run_end_encoded(values.type) else values.dictionary_decode()
    if pa.types.is_nested(values.type):
        return pa.array([has_subject({name: value}, columns, is_subject) for value in values.to_pylist()], pa.bool_())
    if name not in columns:
        return _no_match(values)
    try:
        encoded = values.dictionary_encode()
    except pa.ArrowNotImplementedError:
        return pa.array([is_subject(value) for value in values.to_pylist()], pa.bool_())
    distinct = encoded.dictionary
    if pa.types.is_float32(distinct.type):  # 0.1, not 0.10000000149011612
        is_mine = [value is not None and is_subject(float(str(np.float32(value)))) for value in distinct.to_pylist()]
    else:
        is_mine = [is_subject(value) for value in distinct.to_pylist()]
    return pc.fill_null(pa.array(is_mine, pa.bool_()).take(encoded.indices), False)


def _no_match(values: pa.Array) -> pa.BooleanArray:
    return pa.array([False] * len(values), pa.bool_())


def replace(folder: Place, ledger: Ledger, row: LandedRow, new: Path, *, rows: int, empty: bool, erasure: str, at: float) -> str:
    """Replace a landed file's content and delete the old bytes; return the new hash."""
    with new.open("rb") as raw:
        sha256 = hashlib.file_digest(raw, "sha256").hexdigest()
    final = store_path(folder, sha256, row["path"])
    new.chmod(0o444)
    with new.open("rb") as raw:
        os.fsync(raw.fileno())
    put(new, final)
    is_file = (landed.c.product == row["product"]) & (landed.c.source == row["source"]) & (landed.c.sha256 == row["sha256"])
    tombstone = {
        "product": row["product"],
        "source": row["source"],
        "old_sha256": row["sha256"],
        "new_sha256": sha256,
        "rows": rows,
        "erasure": erasure,
        "at": at,
    }
    values: dict[str, object] = {"sha256": sha256, **({"kind": "erased"} if empty else {})}
    with ledger.engine.begin() as connection:
        connection.execute(insert(tombstones).values(tombstone))
        connection.execute(update(landed).where(is_file).values(values))
    store_path(folder, row["sha256"], row["path"]).unlink(missing_ok=True)
    return sha256


def leftovers(folder: Place, ledger: Ledger, product: str, source: str) -> list[Place]:
    """Return old contents that have a tombstone but still exist, because a process died before deleting them."""
    old = {row["old_sha256"] for row in ledger.find(tombstones, product=product, source=source)}
    return [file for file in folder.rglob("*") if file.name.split(".")[0] in old] if old else []


def _parquet(file: Path, column: str, is_subject: Is, to: Path | None) -> tuple[int, int]:
    """Return how many rows are the subject's and how many are not; write the others to ``to``, if given."""
    parquet_file = pq.ParquetFile(file)
    for field in parquet_file.schema_arrow:
        _hold_writable(field.type)
    subject_columns = {field.name for field in parquet_file.schema_arrow if field.name.lower() == column.lower()}
    searched_columns = [
        field.name for field in parquet_file.schema_arrow if field.name in subject_columns or pa.types.is_nested(field.type)
    ]
    names = subject_columns | {column, column.lower()}
    removed = remaining = 0
    writer = None if to is None else pq.ParquetWriter(to, parquet_file.schema_arrow, write_page_checksum=True)
    try:
        for batch in parquet_file.iter_batches(columns=None if writer else searched_columns):
            mask = pa.array([False] * len(batch), pa.bool_())
            for name in searched_columns:
                mask = pc.or_(mask, array_mask(batch.column(batch.schema.get_field_index(name)), name, names, is_subject))
            removed, remaining = removed + mask.true_count, remaining + len(batch) - mask.true_count
            if writer is not None:
                writer.write_table(_without_spare_values(_others(batch, mask)))
    finally:
        if writer is not None:
            writer.close()
    return removed, remaining


def _others(batch: pa.RecordBatch, mask: pa.BooleanArray) -> pa.Table:
    """Return the rows that are not the subject's, as slices of the batch: Arrow cannot select single rows of every type."""
    edges = np.flatnonzero(np.diff(np.concatenate(([True], mask.to_numpy(zero_copy_only=False), [True])).astype(np.int8)))
    stretches = [batch.slice(begin, end - begin) for begin, end in zip(edges[::2], edges[1::2], strict=True)]
    return pa.Table.from_batches(stretches, batch.schema)


def _without_spare_values(rows: pa.Table) -> pa.Table:
    """Return rows whose dictionaries contain only values that occur: a dictionary is written as a whole."""
    for place, column in enumerate(rows.schema):
        if _has_dictionary(column.type):
            rows = rows.set_column(place, column, _without_unused_entries(rows.column(place).combine_chunks()))
    return rows


def _has_dictionary(kind: pa.DataType) -> bool:
    return pa.types.is_dictionary(kind) or any(_has_dictionary(kind.field(place).type) for place in range(kind.num_fields))


def _hold_writable(kind: pa.DataType) -> None:
    """Raise if a dictionary lies within a type that `_without_unused_entries` cannot rebuild."""
    if pa.types.is_struct(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        for place in range(kind.num_fields):
            _hold_writable(kind.field(place).type)
    elif not pa.types.is_dictionary(kind) and _has_dictionary(kind):
        raise NotThere(f"Parquet columns of the type {kind} cannot be written without one value.", fix=AT_ORIGIN)


def _without_unused_entries(values: pa.Array) -> pa.Array:
    """Return the same values, with dictionaries that contain only these values."""
    kind = values.type
    if not _has_dictionary(kind):
        return values
    if pa.types.is_dictionary(kind):
        used = pc.unique(values.indices).drop_null().sort()  # in the old order, which may mean something
        indices = pc.index_in(values.indices, used).cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, values.dictionary.take(used), ordered=kind.ordered)
    if pa.types.is_struct(kind):
        fields = [_without_unused_entries(values.field(place)) for place in range(kind.num_fields)]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=values.is_null())
    first, last = values.offsets[0].as_py(), values.offsets[-1].as_py()
    inner = _without_unused_entries(values.values.slice(first, last - first))
    return type(values).from_arrays(pc.subtract(values.offsets, values.offsets[0]), inner, type=kind, mask=values.is_null())


def _avro(file: Path, column: str, is_subject: Is, to: Path | None) -> tuple[int, int]:
    """Return how many records are the subject's and how many are not; write the others to ``to``, if given."""
    require("fastavro", extra="avro", for_="Searching and rewriting Avro files")
    import fastavro

    rows: list[fastavro.types.AvroMessage] = []
    removed = 0
    with open_unpacked(file, "rb") as raw:
        reader = fastavro.reader(raw)
        for row in reader:
            if has_subject(row, {column, column.lower()}, is_subject):
                removed += 1
            else:
                rows.append(row)
        schema, codec = reader.writer_schema, reader.codec
    if to is not None:
        with open_unpacked(to, "wb", like=file) as new:
            fastavro.writer(new, schema, rows, codec=codec)
    return removed, len(rows)


_WHOLE = {"parquet": _parquet, "avro": _avro}
