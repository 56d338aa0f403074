"""Land images, which are many small files, in Parquet packs: a hundred thousand of them become a few dozen files.

A pack holds the images' original bytes, with path, time, hash and header. A file that cannot be an image has its
reason in the pack and goes to quarantine when the pack is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from caudal.declarations.connection import Connection, Files
from caudal.declarations.images import COLUMNS, Images
from caudal.extras import require
from caudal.stages.images import decode
from caudal.stages.ingest.arrival import Arrival, Clock, KnownFile, fetches
from caudal.stages.ingest.files import growing_files, matching_files
from caudal.stages.ingest.named_files import parquet_rows
from caudal.stages.ingest.origin import base_folder, former_name, former_pattern, origin
from caudal.stages.ingest.raw import RawFile
from caudal.stages.ingest.remote import listing
from caudal.stages.ingest.secret import without_user
from caudal.storage.parquet import WRITTEN, open_parquet
from caudal.storage.place import Place
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PACK_BYTES = 64 * 2**20
PACK_IMAGES = 2000
ROW_GROUP_BYTES = 2 * 2**20  # the unit by which Spark can split a pack
_AT_ONCE = 8
_WINDOW_BYTES = 16 * 2**20


Mark = tuple[int, int, str | None, bool]  # size, time and checksum of an image, and whether its bytes were copied
GONE: Mark = (0, 0, None, False)


@dataclass(frozen=True)
class ListedImage:
    """An image as its folder or address lists it."""

    path: str
    bytes: int
    modified_ns: int
    etag: str | None = None
    gone: bool = False  # it was landed, and does not exist any more
    above: str = ""  # the data folder's name: the label of an image that lies directly in it

    def mark_if_unchanged(self, max_bytes: int) -> Mark:
        """Return the mark that a pack holds for this image if it is unchanged."""
        return (self.bytes, self.modified_ns if self.etag is None else 0, self.etag, self.bytes <= max_bytes)

    @property
    def label(self) -> str:
        """Return the name of the folder that it lies in."""
        return self.path.rstrip("/").rpartition("/")[0].rpartition("/")[2] or self.above


@dataclass(frozen=True)
class ImageArrivals:
    """The images that are new, have changed or are gone; those still being written; and the function that reads an image's bytes."""

    ready: list[ListedImage]
    growing: list[ListedImage]
    read_image: Callable[[str], bytes]


@fetches("images")
def fetch(
    connection: Connection, *, data: Path | None, scratch: Path, landed: Mapping[str, KnownFile], clock: Clock
) -> list[Arrival]:
    """Return the packs of the images that are new or have changed, including complete packs that a broken run left."""
    assert isinstance(connection, Images)
    require("PIL", extra="images", for_="Reading images")
    address = without_user(connection.pattern)
    leftover_packs = sorted(path for path in scratch.glob("*.parquet") if f"images:{address}/{path.name}" not in landed)
    marks = read_marks(
        [(origin, landed_file.stored) for origin, landed_file in landed.items() if landed_file.stored is not None]
        + [(pack.name, pack) for pack in leftover_packs],
        former_name(connection.pattern, base_folder(connection.pattern, data)),
    )
    images = list_changed_images(connection, data=data, marks=marks, clock=clock)
    # Names order packs by age, even where the machine's clock goes back.
    stamp = max(
        [int(clock() * 1e6), *(int(Path(name).stem.partition("-")[0]) + 1 for name in (*landed, *map(str, leftover_packs)))]
    )
    new_packs = write_packs(images.ready, images.read_image, connection, scratch, stamp)
    now_s = clock()
    return [
        Arrival(f"images:{address}/{path.name}", path, path.stat().st_size, int(now_s * 1e9))
        for path in [*leftover_packs, *new_packs]
    ]


def list_changed_images(
    connection: Images, *, data: Path | None, marks: Mapping[str, Mark], clock: Clock, attempts: int | None = None
) -> ImageArrivals:
    """Return the images that are new or have changed compared with ``marks``, the marks in packs; ``attempts`` limits tries at an address."""

    def find_changed(matched: Iterable[ListedImage]) -> list[ListedImage]:
        return [image for image in matched if marks.get(_printable(image.path)) != image.mark_if_unchanged(connection.max_bytes)]

    above = ""
    if connection.remote:
        remote_listing = listing(
            Files(connection.pattern, storage=connection.storage, required=connection.required, address=connection.address),
            attempts,
        )
        listed_images = [ListedImage(file.path, file.bytes, file.modified_ns, file.etag) for file in remote_listing.files]
        changed = find_changed(listed_images)
        growing = remote_listing.growing({image.path for image in changed}, connection.settle_s, clock)
        read_image = remote_listing.read_bytes
    else:
        matched = matching_files(Files(connection.pattern, required=connection.required, follow_links=True), data)
        base = base_folder(connection.pattern, data)
        above = base.name if base is not None else ""
        listed_images = [ListedImage(origin(path, base), stat.st_size, stat.st_mtime_ns, above=above) for path, stat in matched]
        changed = find_changed(listed_images)
        names = {image.path for image in changed}
        changed_files = [(path, stat) for path, stat in matched if origin(path, base) in names]
        growing = {origin(path, base) for path in growing_files(changed_files, clock)}
        growing |= {origin(path, base) for path, stat in changed_files if abs(clock() - stat.st_mtime) < connection.settle_s}
        read_image = partial(_bytes, base or Path())
    ready = [image for image in changed if image.path not in growing]
    if connection.gone == "quarantine":
        current_names = {_printable(image.path) for image in listed_images}
        ready += [
            ListedImage(path, 0, 0, gone=True, above=above)
            for path, mark in marks.items()
            if mark != GONE and path not in current_names
        ]
    return ImageArrivals(ready, [image for image in changed if image.path in growing], read_image)


def read_marks(files: Iterable[tuple[str, Place]], name_of: Callable[[str], str] = str) -> dict[str, Mark]:
    """Return the marks in packs by path, the newest for each path; packs are given with their names, which begin with their time.

    ``name_of`` returns the current path of an image (`origin.former_name`).
    """
    marks: dict[str, Mark] = {}
    names = ("path", "bytes", "modified_ns", "etag", "sha256")
    for _, file in sorted(files, key=lambda entry: entry[0].rpartition("/")[2]):
        with translate_storage_errors(file), open_parquet(file) as pack:
            for batch in pack.iter_batches(1 << 16, columns=list(names)):
                for path, size, modified_ns, etag, sha256 in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
                    marks[name_of(path)] = (size, modified_ns if etag is None else 0, etag, sha256 is not None)
    return marks


def write_packs(
    new: Sequence[ListedImage], read_image: Callable[[str], bytes], limits: Images, folder: Path, stamp: int
) -> list[Path]:
    """Write images into packs and return these; a pack gets its name only when it is complete."""
    packs: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob("*.part"):
        part.unlink()
    writer: pq.ParquetWriter | None = None
    pack_bytes = image_count = 0
    part = folder / "pack.part"

    def end_pack() -> None:
        nonlocal writer, pack_bytes, image_count
        if writer is not None:
            writer.close()
            packs.append(part.rename(folder / f"{stamp:020d}-{len(packs):06d}.parquet"))
        writer, pack_bytes, image_count = None, 0, 0

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for window in _windows(new, limits.max_bytes):
            rows = [row for row in threads.map(lambda image: _row(image, read_image, limits.max_bytes), window) if row is not None]
            if writer is None:
                # Images are compressed already; compressing them again costs time and gains nothing.
                writer = pq.ParquetWriter(
                    part, _schema(), compression={"content": "none"} | _ZSTD, write_statistics=False, **WRITTEN
                )
            for group in _groups(rows):
                writer.write_batch(_batch(group))
            pack_bytes += sum(_size(row) for row in rows)
            image_count += len(rows)
            if pack_bytes >= PACK_BYTES or image_count >= PACK_IMAGES:
                end_pack()
    end_pack()
    return packs


def image_frame(spark: SparkSession, files: Sequence[RawFile], limits: Images, data: Path | None = None) -> DataFrame:
    """Return the images of packs, one row each; files that are not images have their reason."""
    from pyspark.sql import functions as F

    from caudal.stages.ingest.cast import spark_type

    columns = [f"`{column.name}` {spark_type(column.type)}" for column in COLUMNS]
    rows, name = parquet_rows(spark, files, ", ".join([*columns, "fault string"]))
    rows = rows.select(*COLUMNS.names, "fault", name)
    if (
        expression := former_pattern(limits.pattern, base_folder(limits.pattern, data))
    ) is not None:  # packs of older homes hold whole paths
        shortened = F.regexp_extract("path", f"(?s){expression}", 1)
        rows = rows.withColumn("path", F.when(shortened == "", F.col("path")).otherwise(shortened))
    size = F.concat("width", F.lit(" × "), "height")
    large = F.concat(F.lit("has "), size, F.lit(f" pixels, more than the allowed {limits.max_pixels:,}"))
    fault = F.coalesce("fault", F.when(F.col("width").cast("long") * F.col("height") > limits.max_pixels, large))
    broken = fault.isNotNull()
    described = F.struct("path", "label", "sha256", "bytes", "modified_at")
    return rows.select(
        *COLUMNS.names,
        "_file",
        F.when(broken, F.array(F.concat(F.lit("image "), fault))).alias("_format_errors"),
        F.when(broken, F.to_json(described)).alias("_raw"),
    )


_ZSTD = dict.fromkeys(("path", "label", "sha256", "bytes", "width", "height", "format", "modified_at", "modified_ns", "etag", "fault"), "zstd")  # fmt: skip


def _schema() -> pa.Schema:
    kinds = {
        "path": pa.string(), "label": pa.string(), "sha256": pa.string(), "bytes": pa.int64(), "width": pa.int32(), "height": pa.int32(),
        "format": pa.string(), "modified_at": pa.timestamp("us", "UTC"), "content": pa.binary(), "modified_ns": pa.int64(),
        "etag": pa.string(), "fault": pa.string(),
    }  # fmt: skip
    return pa.schema(kinds.items())


def _row(image: ListedImage, read_image: Callable[[str], bytes], max_bytes: int) -> dict[str, object] | None:
    """Return an image as a row, with its fault; None when it was removed meanwhile."""
    row: dict[str, object] = {
        "path": _printable(image.path), "label": _printable(image.label), "sha256": None, "bytes": image.bytes, "width": None, "height": None,
        "format": None, "modified_at": image.modified_ns // 1000, "content": None, "modified_ns": image.modified_ns, "etag": image.etag, "fault": None,
    }  # fmt: skip
    if image.gone:
        return {**row, "modified_at": None, "fault": "is not at its place any more"}
    if image.bytes > max_bytes:
        return {**row, "fault": f"is {image.bytes:,} bytes large, more than the allowed {max_bytes:,}; it was not copied"}
    try:
        content = read_image(image.path)
    except FileNotFoundError:
        return None
    row |= {"content": content, "sha256": hashlib.sha256(content).hexdigest()}
    try:
        header = decode.header(content)
    except decode.UnreadableImage as error:
        return {**row, "fault": str(error)}
    return {**row, "width": header.width, "height": header.height, "format": header.format}


def _batch(rows: Sequence[Mapping[str, object]]) -> pa.RecordBatch:
    schema = _schema()
    return pa.RecordBatch.from_arrays(
        [pa.array([row[column.name] for row in rows], column.type) for column in schema], schema=schema
    )


def _windows(new: Sequence[ListedImage], max_bytes: int) -> Iterator[list[ListedImage]]:
    """Yield images in pieces that fit into memory."""
    window, size = list[ListedImage](), 0
    for image in new:
        window.append(image)
        size += min(image.bytes, max_bytes)
        if size >= _WINDOW_BYTES:
            yield window
            window, size = [], 0
    if window:
        yield window


def _size(row: Mapping[str, object]) -> int:
    """Return the bytes of a row's image; 0 where it was not copied."""
    content = row["content"]
    return len(content) if isinstance(content, bytes) else 0


def _groups(rows: Sequence[Mapping[str, object]]) -> Iterator[list[Mapping[str, object]]]:
    group, size = list[Mapping[str, object]](), 0
    for row in rows:
        group.append(row)
        size += _size(row)
        if size >= ROW_GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _bytes(base: Path, name: str) -> bytes:
    return (base / name).read_bytes()


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
