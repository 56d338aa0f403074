"""Raw files without one subject's rows: the only case in which raw bytes change; see ADR 9.

The new content is stored first, then the ledger names it in the old one's place and keeps a tombstone (old hash → new hash), then the
old bytes are deleted. A content that has a tombstone is not landed again: what comes under its hash is taken for the new one.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import insert, update

from caudal.errors import NotThere
from caudal.lake.landing import store_path
from caudal.lake.ledger import Ledger, Row
from caudal.lake.place import Place, put
from caudal.lake.records import landed, tombstones

Is = Callable[[object], bool]


@dataclass(frozen=True)
class RawKind:
    """How a raw file is read: its format and, of text, how values are set apart."""

    format: str
    options: Mapping[str, Any]


def count(file: Path, kind: RawKind, column: str, is_subject: Is) -> int:
    """Return how many rows of a raw file are the subject's.

    Raises
    ------
    NotThere : files of this format cannot be searched
    """
    if kind.format == "parquet":
        return _parquet(file, column, is_subject, None)
    with _opened(file, "rb") as raw:
        return sum(mine for _, mine in _records(raw, kind, column, is_subject))


def without(file: Path, to: Path, kind: RawKind, column: str, is_subject: Is) -> tuple[int, int]:
    """Write a raw file without the subject's rows, all else byte for byte; return how many rows went and how many stay."""
    if kind.format == "parquet":
        import pyarrow.parquet as pq

        total = pq.read_metadata(file).num_rows
        gone = _parquet(file, column, is_subject, to)
        return gone, total - gone
    gone = kept = 0
    with _opened(file, "rb") as raw, _opened(to, "wb", like=file) as new:
        for piece, mine in _records(raw, kind, column, is_subject):
            gone += mine
            if not mine:
                new.write(piece)
                kept += 1
    return gone, kept - (1 if kind.format == "csv" and kind.options.get("header", True) else 0)


def which(values: Any, is_subject: Is) -> Any:
    """Return for each of some Arrow values whether it is the subject's; each different value is looked at once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mine = [one for one in pc.unique(values).to_pylist() if is_subject(one)]
    return pc.is_in(values, pa.array(mine, values.type))


def replace(folder: Place, ledger: Ledger, row: Row, new: Path, *, rows: int, empty: bool, erasure: str, at: float) -> str:
    """Put new content in the place of a landed file's and delete the old bytes; return the new hash."""
    with new.open("rb") as raw:
        sha256 = hashlib.file_digest(raw, "sha256").hexdigest()
    final = store_path(folder, sha256, row["path"])
    new.chmod(0o444)
    with new.open("rb") as raw:
        os.fsync(raw.fileno())
    put(new, final)
    same = (landed.c.product == row["product"]) & (landed.c.source == row["source"]) & (landed.c.sha256 == row["sha256"])
    stone = {
        "product": row["product"],
        "source": row["source"],
        "old_sha256": row["sha256"],
        "new_sha256": sha256,
        "rows": rows,
        "erasure": erasure,
        "at": at,
    }
    values: dict[str, Any] = {"sha256": sha256, **({"kind": "erased"} if empty else {})}
    with ledger.engine.begin() as connection:
        connection.execute(insert(tombstones).values(stone))
        connection.execute(update(landed).where(same).values(values))
    store_path(folder, row["sha256"], row["path"]).unlink(missing_ok=True)
    return sha256


def leftovers(folder: Place, ledger: Ledger, product: str, source: str) -> list[Place]:
    """Return old contents that have a tombstone and still lie there: who replaced them died before deleting them."""
    old = {row["old_sha256"] for row in ledger.find(tombstones, product=product, source=source)}
    return [file for file in folder.rglob("*") if file.name.split(".")[0] in old] if old else []


def _records(raw: IO[bytes], kind: RawKind, column: str, is_subject: Is) -> Iterator[tuple[bytes, bool]]:
    """Yield each record of a text file with its very bytes, and whether it is the subject's."""
    if kind.format == "csv":
        yield from _csv(raw, kind.options, column, is_subject)
    elif kind.format == "json":
        yield from _json(raw, column, is_subject)
    else:
        raise NotThere(
            f"Raw files of the format {kind.format} cannot be searched for a subject.",
            fix="Erase it at its origin and deliver the files again.",
        )


def _csv(raw: IO[bytes], options: Mapping[str, Any], column: str, is_subject: Is) -> Iterator[tuple[bytes, bool]]:
    encoding = str(options.get("encoding") or "utf-8")
    separator = str(options.get("separator") or ",")
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline=""):
            taken.append(line)
            yield line

    place: int | None = None
    first = bool(options.get("header", True))
    for record in csv.reader(lines(), delimiter=separator, quotechar=str(options.get("quote") or '"')):
        piece = "".join(taken).encode(encoding, errors="surrogateescape")
        taken.clear()
        if first:
            named = [one.strip().lstrip("\ufeff").lower() for one in record]
            place = named.index(column.lower()) if column.lower() in named else None
            first = False
            yield piece, False
            continue
        at = None if place is None else place + (len(record) == len(named) + 1)
        yield piece, at is not None and at < len(record) and is_subject(record[at])


def _json(raw: IO[bytes], column: str, is_subject: Is) -> Iterator[tuple[bytes, bool]]:
    for line in raw:
        try:
            said = json.loads(line) if line.strip() else None
        except ValueError:
            said = None
        yield line, isinstance(said, dict) and is_subject(said.get(column))


def _parquet(file: Path, column: str, is_subject: Is, to: Path | None) -> int:
    """Return how many rows are the subject's; the others are written to ``to``, where there is one."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    held = pq.ParquetFile(file)
    name = next((one for one in held.schema_arrow.names if one.lower() == column.lower()), None)
    gone = 0
    writer = None if to is None else pq.ParquetWriter(to, held.schema_arrow)
    try:
        for batch in held.iter_batches(columns=None if writer else [name] if name else []):
            mine = pa.array([False] * len(batch), pa.bool_()) if name is None else which(batch.column(name), is_subject)
            gone += mine.true_count
            if writer is not None:
                writer.write_batch(batch.filter(pc.invert(mine)))
    finally:
        if writer is not None:
            writer.close()
    return gone


def _opened(file: Path, mode: str, like: Path | None = None) -> Any:
    return gzip.open(file, mode) if (like or file).name.endswith(".gz") else file.open(mode)
