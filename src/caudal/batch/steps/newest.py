"""The rows of a source that count: not those that a correction replaces, nor those that a newer file tells again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from caudal.declarations.database import Database
from caudal.declarations.images import Images
from caudal.declarations.node import Source
from caudal.declarations.schema import Schema
from caudal.runtime.storage import checked_raw
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest import RawFile
from caudal.stages.ingest.origin import base_of, former_name
from caudal.stages.ingest.read import read
from caudal.tables.corrections import replaced_keys, row_key
from caudal.tables.landing import LandedFile, current
from caudal.tables.versions import in_order, segments_with_keys, superseded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def files_now(ws: Workspace, source: Source) -> list[LandedFile]:
    """Return the landed files that make up a source now."""
    changed = getattr(source.connection, "changed", "replace")
    return current(ws.home, ws.ledger, product=ws.product.name, source=source.name, changed=changed)


def raw_files(source: Source, files: Sequence[LandedFile]) -> list[RawFile]:
    """Return landed files as what reads them wants them told."""
    told = getattr(source.connection, "format", None)
    return [
        RawFile(path=file.stored, sha256=file.sha256, name=file.path, format="parquet" if file.kind == "correction" else told)
        for file in files
    ]


def outdated(ws: Workspace, source: Source, new: Sequence[LandedFile], old: Sequence[LandedFile]) -> list[LandedFile]:
    """Return the old files that hold a row which a new file tells again."""
    if isinstance(source.connection, Images):
        return _again(old, segments_with_keys(in_order(old), in_order(new), ("path",), _named(ws, source)))
    if _by_key(source):
        assert isinstance(source.connection, Database)
        return _again(old, segments_with_keys(in_order(old), in_order(new), source.connection.key))
    return []


def _again(files: Sequence[LandedFile], segments: set[str]) -> list[LandedFile]:
    return [file for file in in_order(files) if file.segment in segments]


def _named(ws: Workspace, source: Source) -> Callable[[str], str]:
    """Return what gives the path of an image as it is told now."""
    assert isinstance(source.connection, Images)
    pattern = source.connection.pattern
    return former_name(pattern, base_of(pattern, ws.settings.data))


def newest(ws: Workspace, source: Source, frame: DataFrame, schema: Schema) -> DataFrame:
    """Return the rows that are the newest of their key among all files of the source."""
    if isinstance(source.connection, Images):
        return _newest_images(ws, source, frame)
    if not _by_key(source):
        return frame

    assert isinstance(source.connection, Database)
    files = in_order(files_now(ws, source))
    if len(files) < 2:
        return frame
    checked_raw(ws, source.name, files)
    named = {field.raw_name: field.name for field in schema}
    key = [named[column] for column in source.connection.key]
    mark = named[str(source.connection.watermark)]
    order = F.broadcast(ws.spark.createDataFrame([(file.segment, n) for n, file in enumerate(files)], "_file string, _place long"))
    whole = read(ws.spark, raw_files(source, files), source, known=schema, tz=ws.product.tz).frame
    version = F.struct("_place", F.col(f"`{mark}`").alias("_mark"))
    names = {column: f"_key{i}" for i, column in enumerate(key)}
    tops = (
        whole.join(order, "_file")
        .groupBy(*(F.col(f"`{column}`").alias(names[column]) for column in key))
        .agg(F.max(version).alias("_top"))
    )
    # Rows of a correction and rows without a key stand for themselves.
    alone = ~F.col("_file").isin([file.segment for file in files])
    for column in key:
        alone = alone | F.col(f"`{column}`").isNull()
    together = F.lit(True)
    for one in key:
        together = together & (F.col(f"`{one}`") == F.col(names[one]))
    same = together & (F.col("_place") == F.col("_top._place")) & F.col(f"`{mark}`").eqNullSafe(F.col("_top._mark"))
    newest = frame.filter(~alone).join(order, "_file").join(tops, same, "left_semi").select(*frame.columns)
    return newest.unionByName(frame.filter(alone))


def _newest_images(ws: Workspace, source: Source, frame: DataFrame) -> DataFrame:
    """Return the images but those that came again with other bytes."""
    gone = superseded(files_now(ws, source), "path", _named(ws, source))
    if not gone:
        return frame

    older = F.broadcast(ws.spark.createDataFrame(gone, "_file string, path string"))
    return frame.join(older, ["_file", "path"], "left_anti").select(*frame.columns)


def without_replaced(ws: Workspace, source: Source, frame: DataFrame) -> DataFrame:
    """Return the rows that no correction replaces."""
    keys, _ = replaced_keys(files_now(ws, source))
    if not keys:
        return frame

    own = [name for name in frame.columns if not name.startswith("_")]
    gone = F.broadcast(ws.spark.createDataFrame([(key,) for key in keys], "_key long"))
    return frame.withColumn("_key", row_key(own)).join(gone, "_key", "left_anti").drop("_key")


def _by_key(source: Source) -> bool:
    """Tell whether rows of a newer file take the place of those with the same key."""
    asked = source.connection
    return isinstance(asked, Database) and bool(asked.key) and asked.watermark is not None and not asked.history
