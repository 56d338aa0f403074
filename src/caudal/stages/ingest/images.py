"""Images: many small files, landed in packs of Parquet, so that a hundred thousand of them are a few dozen files.

A pack holds the images' bytes as they came, with path, time and hash, and what their headers say. What cannot be an image has its
reason beside it and goes to quarantine when the pack is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.declarations.connection import Connection, Files
from caudal.declarations.images import COLUMNS, Images
from caudal.extras import require
from caudal.stages.ingest.arrival import Arrival, Clock, Seen, fetches
from caudal.stages.ingest.files import found_in, moving
from caudal.stages.ingest.origin import base_of, former, former_pattern, origin
from caudal.stages.ingest.raw import RawFile
from caudal.stages.ingest.secret import without_user
from caudal.storage.parquet import WRITTEN, open_parquet
from caudal.storage.place import Place, reader, spark_path
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

PACK_BYTES = 64 * 2**20
PACK_IMAGES = 2000
ROW_GROUP_BYTES = 2 * 2**20  # what Spark can split a pack at
_AT_ONCE = 8
_WINDOW_BYTES = 16 * 2**20


Mark = tuple[int, int, str | None, bool]  # size, time and checksum of an image, and whether its bytes were copied
GONE: Mark = (0, 0, None, False)


@dataclass(frozen=True)
class Found:
    """An image as it is listed."""

    path: str
    bytes: int
    modified_ns: int
    etag: str | None = None
    gone: bool = False  # it was landed, and is not listed any more
    above: str = ""  # the data folder's own name, which is the label of an image that lies in it itself

    def known_as(self, max_bytes: int) -> Mark:
        """Return the mark that a pack has of it when nothing is to be done."""
        return (self.bytes, self.modified_ns if self.etag is None else 0, self.etag, self.bytes <= max_bytes)

    @property
    def label(self) -> str:
        """The folder that it lies in."""
        return self.path.rstrip("/").rpartition("/")[0].rpartition("/")[2] or self.above


@dataclass(frozen=True)
class Arrived:
    """What a look has found: the images that are new, have changed or are gone, those of them that are still being written, and what reads one."""

    whole: list[Found]
    growing: list[Found]
    read: Callable[[str], bytes]


@fetches("images")
def fetch(connection: Connection, *, data: Path | None, scratch: Path, seen: Mapping[str, Seen], clock: Clock) -> list[Arrival]:
    """Return the packs of the images that are new or have changed; whole ones that a broken run left are taken up."""
    assert isinstance(connection, Images)
    require("PIL", extra="images", for_="Reading images")
    shown = without_user(connection.pattern)
    left = sorted(path for path in scratch.glob("*.parquet") if f"images:{shown}/{path.name}" not in seen)
    known = marks(
        [(origin, one.stored) for origin, one in seen.items() if one.stored is not None] + [(one.name, one) for one in left],
        former(connection.pattern, base_of(connection.pattern, data)),
    )
    found = look(connection, data=data, known=known, clock=clock)
    # A pack's name says which is newer, whatever the machine's clock does.
    stamp = max([int(clock() * 1e6), *(int(Path(one).stem.partition("-")[0]) + 1 for one in (*seen, *map(str, left)))])
    made = packs(found.whole, found.read, connection, scratch, stamp)
    at = clock()
    return [Arrival(f"images:{shown}/{path.name}", path, path.stat().st_size, int(at * 1e9)) for path in [*left, *made]]


def look(connection: Images, *, data: Path | None, known: Mapping[str, Mark], clock: Clock, attempts: int | None = None) -> Arrived:
    """Return the images that are new or have changed; ``known`` is what packs hold. ``attempts`` at an address that does not answer."""

    def unknown(found: Iterable[Found]) -> list[Found]:
        return [one for one in found if known.get(_printable(one.path)) != one.known_as(connection.max_bytes)]

    above = ""
    if connection.remote:
        from caudal.stages.ingest.remote import listing

        listed = listing(
            Files(connection.pattern, storage=connection.storage, required=connection.required, address=connection.address),
            attempts,
        )
        there = [Found(file.path, file.bytes, file.modified_ns, file.etag) for file in listed.files]
        new = unknown(there)
        young = listed.moving({one.path for one in new}, connection.settle_s, clock)
        read = listed.read
    else:
        found = found_in(Files(connection.pattern, required=connection.required, follow_links=True), data)
        base = base_of(connection.pattern, data)
        above = base.name if base is not None else ""
        there = [Found(origin(path, base), stat.st_size, stat.st_mtime_ns, above=above) for path, stat in found]
        new = unknown(there)
        names = {one.path for one in new}
        fresh = [(path, stat) for path, stat in found if origin(path, base) in names]
        young = {origin(path, base) for path in moving(fresh, clock)}
        young |= {origin(path, base) for path, stat in fresh if abs(clock() - stat.st_mtime) < connection.settle_s}
        read = partial(_bytes, base or Path())
    whole = [one for one in new if one.path not in young]
    if connection.gone == "quarantine":
        names_now = {_printable(one.path) for one in there}
        whole += [
            Found(path, 0, 0, gone=True, above=above) for path, mark in known.items() if mark != GONE and path not in names_now
        ]
    return Arrived(whole, [one for one in new if one.path in young], read)


def marks(files: Iterable[tuple[str, Place]], named: Callable[[str], str] = str) -> dict[str, Mark]:
    """Return what packs hold: path to mark, of a path the newest; packs come with their names, which begin with their time.

    ``named`` gives the path of an image as it is told now (`origin.former`).
    """
    known: dict[str, Mark] = {}
    names = ("path", "bytes", "modified_ns", "etag", "sha256")
    for _, file in sorted(files, key=lambda one: one[0].rpartition("/")[2]):
        with translate_storage_errors(file), open_parquet(file) as pack:
            for batch in pack.iter_batches(1 << 16, columns=list(names)):
                for path, size, modified_ns, etag, sha256 in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
                    known[named(path)] = (size, modified_ns if etag is None else 0, etag, sha256 is not None)
    return known


def packs(new: Sequence[Found], read: Callable[[str], bytes], limits: Images, folder: Path, stamp: int) -> list[Path]:
    """Write images into packs and return those; each is whole when it has its name."""
    import pyarrow.parquet as pq

    made: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob("*.part"):
        part.unlink()
    writer: pq.ParquetWriter | None = None
    held = images = 0
    part = folder / "pack.part"

    def end() -> None:
        nonlocal writer, held, images
        if writer is not None:
            writer.close()
            made.append(part.rename(folder / f"{stamp:020d}-{len(made):06d}.parquet"))
        writer, held, images = None, 0, 0

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for window in _windows(new, limits.max_bytes):
            rows = [row for row in threads.map(lambda one: _row(one, read, limits.max_bytes), window) if row is not None]
            if writer is None:
                # Images are packed already; to try it again costs time and gains nothing.
                writer = pq.ParquetWriter(
                    part, _schema(), compression={"content": "none"} | _ZSTD, write_statistics=False, **WRITTEN
                )
            for group in _groups(rows):
                writer.write_batch(_batch(group))
            held += sum(len(row["content"] or b"") for row in rows)
            images += len(rows)
            if held >= PACK_BYTES or images >= PACK_IMAGES:
                end()
    end()
    return made


def frame(spark: SparkSession, files: Sequence[RawFile], limits: Images, data: Path | None = None) -> DataFrame:
    """Return the images of packs, one row each, those that are none with their reason."""
    from pyspark.sql import functions as F

    from caudal.stages.ingest.cast import spark_type

    own = [f"`{column.name}` {spark_type(column.type)}" for column in COLUMNS]
    rows = reader(spark).schema(", ".join([*own, "fault string"])).parquet(*(spark_path(file.path) for file in files))
    rows = rows.select("*", F.col("_metadata.file_name").alias("_pack"))
    if (
        expression := former_pattern(limits.pattern, base_of(limits.pattern, data))
    ) is not None:  # packs of older homes hold whole paths
        name = F.regexp_extract("path", f"(?s){expression}", 1)
        rows = rows.withColumn("path", F.when(name == "", F.col("path")).otherwise(name))
    size = F.concat("width", F.lit(" × "), "height")
    large = F.concat(F.lit("has "), size, F.lit(f" pixels, more than the {limits.max_pixels:,} that are let in"))
    fault = F.coalesce("fault", F.when(F.col("width").cast("long") * F.col("height") > limits.max_pixels, large))
    broken = fault.isNotNull()
    said = F.struct("path", "label", "sha256", "bytes", "modified_at")
    return rows.select(
        *COLUMNS.names,
        F.substring("_pack", 1, 16).alias("_file"),
        F.when(broken, F.array(F.concat(F.lit("image "), fault))).alias("_format_errors"),
        F.when(broken, F.to_json(said)).alias("_raw"),
    )


_ZSTD = dict.fromkeys(("path", "label", "sha256", "bytes", "width", "height", "format", "modified_at", "modified_ns", "etag", "fault"), "zstd")  # fmt: skip


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {
        "path": pa.string(), "label": pa.string(), "sha256": pa.string(), "bytes": pa.int64(), "width": pa.int32(), "height": pa.int32(),
        "format": pa.string(), "modified_at": pa.timestamp("us", "UTC"), "content": pa.binary(), "modified_ns": pa.int64(),
        "etag": pa.string(), "fault": pa.string(),
    }  # fmt: skip
    return pa.schema(kinds.items())


def _row(one: Found, read: Callable[[str], bytes], max_bytes: int) -> dict[str, Any] | None:
    """Return an image as a row, with what is wrong with it; None when it was taken away meanwhile."""
    from caudal.stages.images import decode

    row: dict[str, Any] = {
        "path": _printable(one.path), "label": _printable(one.label), "sha256": None, "bytes": one.bytes, "width": None, "height": None,
        "format": None, "modified_at": one.modified_ns // 1000, "content": None, "modified_ns": one.modified_ns, "etag": one.etag, "fault": None,
    }  # fmt: skip
    if one.gone:
        return {**row, "modified_at": None, "fault": "is not at its place any more"}
    if one.bytes > max_bytes:
        return {**row, "fault": f"is {one.bytes:,} bytes large, more than the {max_bytes:,} that are let in; it was not copied"}
    try:
        content = read(one.path)
    except FileNotFoundError:
        return None
    row |= {"content": content, "sha256": hashlib.sha256(content).hexdigest()}
    try:
        said = decode.header(content)
    except decode.Unfit as error:
        return {**row, "fault": str(error)}
    return {**row, "width": said.width, "height": said.height, "format": said.format}


def _batch(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    schema = _schema()
    return pa.RecordBatch.from_arrays(
        [pa.array([row[column.name] for row in rows], column.type) for column in schema], schema=schema
    )


def _windows(new: Sequence[Found], max_bytes: int) -> Iterator[list[Found]]:
    """Yield images in pieces that fit into memory."""
    held, size = list[Found](), 0
    for one in new:
        held.append(one)
        size += min(one.bytes, max_bytes)
        if size >= _WINDOW_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _groups(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    held, size = list[Mapping[str, Any]](), 0
    for row in rows:
        held.append(row)
        size += len(row["content"] or b"")
        if size >= ROW_GROUP_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _bytes(base: Path, name: str) -> bytes:
    return (base / name).read_bytes()


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
