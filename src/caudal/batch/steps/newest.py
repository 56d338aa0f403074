"""The valid rows of a source: without those that a correction or a newer file replaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from caudal.declarations.database import Database
from caudal.declarations.images import Images
from caudal.declarations.node import Source
from caudal.declarations.schema import Schema
from caudal.ledger.ledger import Ledger
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.storage import check_raw_files
from caudal.stages.ingest import RawFile
from caudal.stages.ingest.origin import base_folder, former_name
from caudal.stages.ingest.read import read_files
from caudal.tables.corrections import replaced_keys, row_key
from caudal.tables.landing import LandedFile, current
from caudal.tables.versions import in_order, segments_with_keys, superseded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def current_files(tables: ProductTables, ledger: Ledger, source: Source) -> list[LandedFile]:
    """Return the landed files that a source consists of now."""
    changed = getattr(source.connection, "changed", "replace")
    return current(tables.home, ledger, product=tables.product.name, source=source.name, changed=changed)


def raw_files(source: Source, files: Sequence[LandedFile]) -> list[RawFile]:
    """Return landed files as the readers of `caudal.stages.ingest` take them."""
    declared_format = getattr(source.connection, "format", None)
    return [
        RawFile(
            path=file.stored, sha256=file.sha256, name=file.path, format="parquet" if file.kind == "correction" else declared_format
        )
        for file in files
    ]


def outdated(data: Path | None, source: Source, new: Sequence[LandedFile], old: Sequence[LandedFile]) -> list[LandedFile]:
    """Return the old files that hold a row which a new file replaces."""
    if isinstance(source.connection, Images):
        return _files_of_segments(old, segments_with_keys(in_order(old), in_order(new), ("path",), _path_naming(data, source)))
    if _is_newest_by_key(source):
        assert isinstance(source.connection, Database)
        return _files_of_segments(old, segments_with_keys(in_order(old), in_order(new), source.connection.key))
    return []


def _files_of_segments(files: Sequence[LandedFile], segments: set[str]) -> list[LandedFile]:
    return [file for file in in_order(files) if file.segment in segments]


def _path_naming(data: Path | None, source: Source) -> Callable[[str], str]:
    """Return a function from the stored path of an image to its present name."""
    assert isinstance(source.connection, Images)
    pattern = source.connection.pattern
    return former_name(pattern, base_folder(pattern, data))


def newest_rows(
    tables: ProductTables, data: Path | None, source: Source, landed_files: Sequence[LandedFile], frame: DataFrame, schema: Schema
) -> DataFrame:
    """Return the rows that are the newest of their key among all files of the source.

    Parameters
    ----------
    data : the folder that relative paths of a declaration start from
    landed_files : the files that make up the source now (`current_files`)
    """
    if isinstance(source.connection, Images):
        return _newest_images(data, source, landed_files, frame)
    if not _is_newest_by_key(source):
        return frame

    assert isinstance(source.connection, Database)
    files = in_order(landed_files)
    if len(files) < 2:
        return frame
    check_raw_files(tables.verified_raw_files, source.name, files)
    named = {field.raw_name: field.name for field in schema}
    key = [named[column] for column in source.connection.key]
    watermark = named[str(source.connection.watermark)]
    spark = frame.sparkSession
    order = F.broadcast(spark.createDataFrame([(file.segment, n) for n, file in enumerate(files)], "_file string, _place long"))
    all_rows = read_files(spark, raw_files(source, files), source, published=schema, tz=tables.product.tz).frame
    version = F.struct("_place", F.col(f"`{watermark}`").alias("_mark"))
    names = {column: f"_key{i}" for i, column in enumerate(key)}
    newest_versions = (
        all_rows.join(order, "_file")
        .groupBy(*(F.col(f"`{column}`").alias(names[column]) for column in key))
        .agg(F.max(version).alias("_top"))
    )
    # Rows of a correction and rows without a key stand for themselves.
    without_key = ~F.col("_file").isin([file.segment for file in files])
    for column in key:
        without_key = without_key | F.col(f"`{column}`").isNull()
    same_key = F.lit(True)
    for column in key:
        same_key = same_key & (F.col(f"`{column}`") == F.col(names[column]))
    is_newest = same_key & (F.col("_place") == F.col("_top._place")) & F.col(f"`{watermark}`").eqNullSafe(F.col("_top._mark"))
    newest = frame.filter(~without_key).join(order, "_file").join(newest_versions, is_newest, "left_semi").select(*frame.columns)
    return newest.unionByName(frame.filter(without_key))


def _newest_images(data: Path | None, source: Source, landed_files: Sequence[LandedFile], frame: DataFrame) -> DataFrame:
    """Return the images without those that a newer file of the same path replaces."""
    replaced = superseded(landed_files, "path", _path_naming(data, source))
    if not replaced:
        return frame

    older = F.broadcast(frame.sparkSession.createDataFrame(replaced, "_file string, path string"))
    return frame.join(older, ["_file", "path"], "left_anti").select(*frame.columns)


def without_replaced_rows(landed_files: Sequence[LandedFile], frame: DataFrame) -> DataFrame:
    """Return the rows that no correction replaces."""
    keys, _ = replaced_keys(landed_files)
    if not keys:
        return frame

    columns = [name for name in frame.columns if not name.startswith("_")]
    replaced = F.broadcast(frame.sparkSession.createDataFrame([(key,) for key in keys], "_key long"))
    return frame.withColumn("_key", row_key(columns)).join(replaced, "_key", "left_anti").drop("_key")


def _is_newest_by_key(source: Source) -> bool:
    """Return whether rows of a newer file replace those with the same key."""
    connection = source.connection
    return isinstance(connection, Database) and bool(connection.key) and connection.watermark is not None and not connection.history
