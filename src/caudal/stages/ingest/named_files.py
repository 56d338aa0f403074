"""Parquet files as a frame whose rows name their file."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.choice import can, session_engine
from caudal.engine.files import literal_path, literal_reader
from caudal.engine.protocol import lack
from caudal.stages.ingest.raw import RawFile
from caudal.storage.place import spark_path

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

FILE = "_file"
DIGITS = 16  # of the hash that a landed file's name begins with; they name the file


@cache
def process_folder() -> Path:
    """Return a folder that lasts as long as this process, because an engine reads frames after they are created."""
    folder = tempfile.TemporaryDirectory(prefix="caudal-unpacked-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def parquet_rows(spark: SparkSession, files: Sequence[RawFile], ddl: str, columns: Sequence[str] = ()) -> tuple[DataFrame, Column]:
    """Return the rows of Parquet files, and a column ``_file``: the first digits of the hash of a row's file.

    An engine that does not tell a row's file gets one folder a file, named after it, with a link to the file: a single scan of
    any number of files, of which the folders are the partitions.

    Parameters
    ----------
    columns : names of the columns in ``ddl``, as the files have them

    Raises
    ------
    EngineLacks : the engine does not tell a row's file, and a file has a column of that name
    """
    from pyspark.sql import functions as F

    if can(spark, Capability.FILE_NAMES):
        rows = literal_reader(spark).schema(ddl).parquet(*(literal_path(spark, spark_path(file.path)) for file in files))
        # metadataColumn returns Spark's metadata even where a file has a column of that name.
        return rows, F.substring(rows.metadataColumn("_metadata")["file_name"], 1, DIGITS).alias(FILE)
    if FILE in {column.lower() for column in columns}:
        raise lack(session_engine(spark), Capability.FILE_NAMES, f"A file with a column '{FILE}'")
    folder = Path(tempfile.mkdtemp(dir=process_folder()))
    for file in files:
        segment = folder / f"{FILE}={file.path.name[:DIGITS]}"
        segment.mkdir(exist_ok=True)
        (segment / f"{len(list(segment.iterdir()))}.parquet").symlink_to(Path(str(file.path)).absolute())
    schema = f"{ddl}, {FILE} string" if ddl else f"{FILE} string"
    return literal_reader(spark).schema(schema).parquet(literal_path(spark, str(folder))), F.col(FILE)
