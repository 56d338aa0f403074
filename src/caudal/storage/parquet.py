"""Parquet files read and written by Arrow with the checksums of their pages: a page whose bytes have changed is no page of rows.

Spark writes the same checksums and compares them too (`caudal.engine.settings`). They cover the values of a page, compressed, but
neither its header nor the footer; `caudal.tables.intact` says what covers those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caudal.storage.damage import stored
from caudal.storage.place import Place, arrow_paths, source
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

WRITTEN: dict[str, Any] = {"write_page_checksum": True}
"""What every writer of Parquet is told."""


def opened(file: Place) -> pq.ParquetFile:
    """Return a Parquet file, to be read with its pages' checksums compared."""
    import pyarrow.parquet as pq

    with stored(file), translate_storage_errors(file):
        return pq.ParquetFile(source(file), page_checksum_verification=True)


def read(file: Place, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a Parquet file's rows, or some columns of them.

    Raises
    ------
    StorageDamaged : the file is not as it was written, or not there
    """
    with opened(file) as parquet, stored(file), translate_storage_errors(file):
        return parquet.read(columns=None if columns is None else list(columns))


def checked_format() -> ds.ParquetFileFormat:
    """Return the format by which datasets are read with their pages' checksums compared."""
    import pyarrow.dataset as ds

    return ds.ParquetFileFormat(default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True))


def dataset(paths: Sequence[str], schema: pa.Schema | None = None) -> ds.FileSystemDataset:
    """Return Parquet files, wherever they lie, as one Arrow dataset; what reads it stands in `stored`."""
    import pyarrow.dataset as ds

    named, filesystem = arrow_paths(list(paths))
    return ds.dataset(named, schema=schema, format=checked_format(), filesystem=filesystem)
