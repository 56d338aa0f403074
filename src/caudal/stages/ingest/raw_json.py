"""The rows that cannot be read, as JSON, on an engine that writes JSON in another form than Spark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.types import StringType, StructField, StructType

from caudal.engine.row_json import rows_as_json

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_raw(frame: DataFrame, kept: int, names: Sequence[str]) -> DataFrame:
    """Return the first columns of a frame, and ``_raw``: the JSON of a row with format errors as it was read.

    Parameters
    ----------
    frame : DataFrame; ``_format_errors`` is the last of the columns that are kept, then come the columns that were read and, for text, ``_line``
        and ``_number``
    kept : number of columns that are kept
    names : the file's names of the columns that were read
    """
    fields = frame.schema.fields
    schema = StructType([*fields[:kept], StructField("_raw", StringType())])
    return frame.mapInArrow(partial(_add_raw, kept=kept, names=list(names), columns=frame.columns), schema)


def _add_raw(
    batches: Iterable[pa.RecordBatch], kept: int, names: Sequence[str], columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    has_lines = "_line" in columns
    for batch in batches:
        is_faulty = pc.is_valid(batch.column(kept - 1))
        raw: list[str | None] = [None] * len(batch)
        if pc.any(is_faulty).as_py():
            faulty = batch.filter(is_faulty)
            read = faulty.columns[kept : kept + len(names)]
            texts = rows_as_json(read, names).to_pylist() if names else ["{}"] * len(faulty)
            if has_lines:
                lines = faulty.column(columns.index("_line"))
                line_columns, line_names = [lines], ["_line"]
                if "_number" in columns:
                    line_columns.append(faulty.column(columns.index("_number")))
                    line_names.append("_line_number")
                line_texts = rows_as_json(line_columns, line_names).to_pylist()
                is_line = lines.is_valid().to_pylist()
                texts = [line if of_line else text for line, text, of_line in zip(line_texts, texts, is_line, strict=True)]
            for place, text in zip(pc.indices_nonzero(is_faulty).to_pylist(), texts, strict=True):
                raw[place] = text
        arrays = [*batch.columns[:kept], pa.array(raw, pa.string())]
        yield pa.RecordBatch.from_arrays(arrays, names=[f"c{place}" for place in range(len(arrays))])
