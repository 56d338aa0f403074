"""Columns of a source whose schema is missing or open, read from the newest of its local files. A run reads all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from caudal.declarations.connection import Files
from caudal.declarations.node import Source
from caudal.declarations.schema import Schema
from caudal.errors import CaudalError, EngineLacks
from caudal.stages.ingest import RawFile
from caudal.stages.ingest.files import matching_files
from caudal.stages.ingest.raw import format_of, packing_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SAMPLE_BYTES = 256 * 1024  # of a text file, this much of its beginning is read
WHOLE_BYTES = 4 * 2**20  # files that cannot be cut (workbooks, packed files, one JSON document) are read up to this size
_NO_HASH = "0" * 64  # landed files are named by their hash; a sample has none
_OF_LINES = ("csv", "fixed_width", "json")
_WITH_FOOTER = ("parquet", "avro")
Note = Callable[[str], None]
"""Called with each remark for the user of a check, such as the file from which columns were read."""


def is_declared(source: Source) -> bool:
    """Return whether all columns of a source are declared, so that no file need be read."""
    return source.schema is not None and bool(source.schema.names) and not source.schema.open


def files_are_here(source: Source, data: Path | None) -> bool:
    """Return whether a source has local files, from which its columns may be read."""
    if not isinstance(source.connection, Files) or source.connection.remote:
        return False
    try:
        return bool(matching_files(source.connection, data))
    except CaudalError:  # the run reports it
        return False


def schema_of_files(spark: SparkSession, source: Source, data: Path | None, tz: str) -> tuple[Schema, str] | None:
    """Return a source's columns and the file that they were read from; None where no local file has them.

    The file is read as a run would read it, so names and types are those that a run finds in it.

    Raises
    ------
    EngineLacks : the engine cannot read it, and Spark may
    """
    connection = source.connection
    if not isinstance(connection, Files) or connection.remote:
        return None
    from caudal.stages.ingest.read import read_files

    try:
        files = matching_files(connection, data)
        if not files:
            return None
        path = max(files, key=lambda file: (file[1].st_mtime_ns, file[0]))[0]
        with TemporaryDirectory(prefix="caudal-check-") as folder:
            sample = _sample(path, connection.format, Path(folder))
            if sample is None:
                return None
            raw = RawFile(sample, _NO_HASH, path.name, connection.format)
            return read_files(spark, [raw], source, tz=tz, scratch=Path(folder) / "unpacked").schema, path.name
    except EngineLacks:
        raise
    except CaudalError:  # the run reports the file that cannot be read
        return None


def _sample(path: Path, declared: str | None, folder: Path) -> Path | None:
    """Return a short sample of a file, named like a landed file; None where the file is large and cannot be cut."""
    kind, bytes_ = format_of(path.name, declared), path.stat().st_size
    packed = packing_of(path.name) is not None
    target = folder / f"{_NO_HASH[:16]}-{path.name}"
    if (kind in _WITH_FOOTER and not packed) or bytes_ <= SAMPLE_BYTES:
        target.symlink_to(path.absolute())
        return target
    with path.open("rb") as file:
        head = file.read(SAMPLE_BYTES)
    end = head.rfind(b"\n")
    if kind in _OF_LINES and not packed and end >= 0 and (kind != "json" or head.lstrip().startswith(b"{")):
        target.write_bytes(head[: end + 1])
        return target
    if bytes_ > WHOLE_BYTES:
        return None
    target.symlink_to(path.absolute())
    return target
