"""Marks of event time that no message brings: a file for each, in a folder that the query reads beside its source."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from caudal.streaming.structured.by_device import MARK, NO_DEVICE, SCHEMA, SPARK_SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def event_time_marks(spark: SparkSession, folder: Path) -> DataFrame:
    """Return the stream of the marks in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return spark.readStream.schema(SPARK_SCHEMA).parquet(str(folder))


def set_mark(folder: Path, at_us: int) -> None:
    """Let event time reach a moment."""
    row = [[NO_DEVICE], [MARK], [0], [0], [at_us], [b""]]
    arrays = [
        pa.array(values, pa.int64()).cast(column.type) if pa.types.is_timestamp(column.type) else pa.array(values, column.type)
        for values, column in zip(row, SCHEMA, strict=True)
    ]
    part = folder / f".{uuid.uuid4().hex}"
    pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), part)
    part.replace(folder / f"{part.name[1:]}.parquet")
