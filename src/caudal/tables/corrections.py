"""Corrections: rows that replace quarantined ones. Each set is a landed file like any other, so a rebuild from raw repeats them.

The file is Parquet with the source's raw column names. Its footer names the rows that it replaces (by key) and the landed files
that these came from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from caudal.storage.parquet import WRITTEN, open_parquet
from caudal.tables.landing import LandedFile

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column

FOOTER = b"caudal.replaces"


def row_key(columns: Sequence[str]) -> Column:
    """Return an expression that identifies a source's row: a hash of its values and its file."""
    from pyspark.sql import functions as F

    return F.xxhash64("_file", *[F.coalesce(F.col(name).cast("string"), F.lit("\0")) for name in sorted(columns)])


def write_corrections(rows: pa.Table, keys: Sequence[int], segments: Sequence[str], file: Path) -> None:
    """Write corrected rows, with the keys of the rows that they replace."""
    footer = json.dumps({"keys": sorted(keys), "segments": sorted(segments)}).encode()
    pq.write_table(rows.replace_schema_metadata({FOOTER: footer}), file, **WRITTEN)


def replaced_keys(files: Sequence[LandedFile]) -> tuple[list[int], set[str]]:
    """Return the keys of all rows that the corrections among ``files`` replace, and the files of those rows."""
    keys: list[int] = []
    segments: set[str] = set()
    for file in files:
        if file.kind == "correction":
            with open_parquet(file.stored) as parquet:
                footer = parquet.schema_arrow.metadata or {}
            content = json.loads(footer.get(FOOTER, b'{"keys": [], "segments": []}'))
            keys += content["keys"]
            segments |= set(content["segments"])
    return keys, segments
