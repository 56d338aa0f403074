"""Corrections: rows that replace quarantined ones. Each set is a landed file like any other, so a rebuild from raw gives them again.

The file is Parquet with the source's raw column names. Its footer says which rows it replaces (by key) and which landed files
these came from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.storage.parquet import WRITTEN, opened
from caudal.tables.landing import LandedFile

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column

FOOTER = b"caudal.replaces"


def key(columns: Sequence[str]) -> Column:
    """Return what tells one row of a source from another: its values and the file it came from."""
    from pyspark.sql import functions as F

    return F.xxhash64("_file", *[F.coalesce(F.col(name).cast("string"), F.lit("\0")) for name in sorted(columns)])


def write(rows: pa.Table, keys: Sequence[int], segments: Sequence[str], to: Path) -> None:
    """Write corrected rows with what they replace."""
    import pyarrow.parquet as pq

    said = json.dumps({"keys": sorted(keys), "segments": sorted(segments)}).encode()
    pq.write_table(rows.replace_schema_metadata({FOOTER: said}), to, **WRITTEN)


def replaced(files: Sequence[LandedFile]) -> tuple[list[int], set[str]]:
    """Return the keys of all rows that the corrections among ``files`` replace, and the files those rows came from."""
    keys: list[int] = []
    segments: set[str] = set()
    for file in files:
        if file.kind == "correction":
            with opened(file.stored) as parquet:
                footer = parquet.schema_arrow.metadata or {}
            said = json.loads(footer.get(FOOTER, b'{"keys": [], "segments": []}'))
            keys += said["keys"]
            segments |= set(said["segments"])
    return keys, segments
