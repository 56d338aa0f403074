"""Read and write Parquet files by Arrow with page checksums: a page whose bytes have changed is refused.

Spark writes and verifies the same checksums (`caudal.engine.settings`). They cover the compressed values of a page, but
neither its header nor the footer; `caudal.tables.intact` covers those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from caudal.storage.damage import translate_damage
from caudal.storage.place import Place, arrow_paths, readable
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    import pyarrow as pa

WRITTEN: dict[str, object] = {"write_page_checksum": True}
"""Options of every Parquet writer."""


def open_parquet(file: Place) -> pq.ParquetFile:
    """Open a Parquet file for reading with verified page checksums."""
    with translate_damage(file), translate_storage_errors(file):
        return pq.ParquetFile(readable(file), page_checksum_verification=True)


def open_written(file: Place) -> pq.ParquetFile:
    """Open a file that this run has written, for reading in one thread: where several threads read small files, one for each of them, Arrow's
    own threads cost twice the time of the reading."""
    return pq.ParquetFile(readable(file), pre_buffer=False)


def count_file_rows(file: Place) -> int:
    """Return how many rows a file has, by its footer."""
    with translate_storage_errors(file), open_written(file) as parquet:
        return int(parquet.metadata.num_rows)


def read_parquet(file: Place, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a Parquet file's rows, or some columns of them.

    Raises
    ------
    StorageDamaged : the file is not as it was written, or does not exist
    """
    with open_parquet(file) as parquet, translate_damage(file), translate_storage_errors(file):
        return parquet.read(columns=None if columns is None else list(columns))


def checked_format() -> ds.ParquetFileFormat:
    """Return a dataset format that verifies page checksums."""
    return ds.ParquetFileFormat(default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True))


def dataset(paths: Sequence[str], schema: pa.Schema | None = None) -> ds.FileSystemDataset:
    """Return Parquet files, local or remote, as one Arrow dataset; read it within `translate_damage`."""
    file_names, filesystem = arrow_paths(list(paths))
    return ds.dataset(file_names, schema=schema, format=checked_format(), filesystem=filesystem)
