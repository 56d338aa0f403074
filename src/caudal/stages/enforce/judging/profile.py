"""What the columns of written Parquet files hold: nulls, least, greatest, mean, standard deviation.

Read from the files that are published, not counted on the way: a task that ran twice cannot count twice, and Arrow takes a
quarter of the time that Spark's aggregation of the same files takes (5 million rows of 13 columns: 1.0 s of processor time
against 3.7 s; counting on the way, 4.1 s). Columns that are no numbers are told by the files' footers alone.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.engine.settings import usable_cores
from caudal.storage.place import Place, readable
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH_ROWS = 1 << 17


@dataclass
class Running:
    """Figures of a column as far as it has been read. NaN and infinity are left out of all but ``nulls``."""

    nulls: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of squared differences from the mean
    least: Any = None
    greatest: Any = None
    number: bool = False
    silent: bool = False  # least and greatest are not known

    def join(self, more: Running) -> None:
        """Take in what another has taken in."""
        self.nulls += more.nulls
        self.silent |= more.silent
        self.bound(more.least, more.greatest)
        self.add(more.count, more.mean, more.squares)

    def add(self, count: int, mean: float, squares: float) -> None:
        """Take in the figures of more values (Chan, Golub & LeVeque 1983, equation 2.1)."""
        if count:
            whole, off = self.count + count, mean - self.mean
            self.squares += squares + off * off * self.count * count / whole
            self.mean += off * count / whole
            self.count = whole

    def bound(self, least: Any, greatest: Any) -> None:
        """Take in the least and the greatest of more values."""
        if least is not None:
            self.least = least if self.least is None else min(self.least, least)
            self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures JSON-ready; ``stddev`` is that of a sample (n − 1)."""
        least, greatest = (None, None) if self.silent else (self.least, self.greatest)
        figures: dict[str, Any] = {"nulls": self.nulls, "min": _plain(least), "max": _plain(greatest)}
        if self.number:
            figures["mean"] = self.mean if self.count else None
            figures["stddev"] = math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else None
        return figures


def parquet(folder: Place) -> list[Place]:
    """Return the Parquet files in a folder and below, in order of name."""
    return sorted(file for file in folder.rglob("*.parquet") if not file.name.startswith((".", "_")))


def rows(files: Sequence[Place]) -> int:
    """Return how many rows files have, told by their footers."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(readable(file)).num_rows for file in files)


def profile(files: Sequence[Place]) -> dict[str, dict[str, Any]]:
    """Return the figures of each column of flat type: ``{nulls, min, max}``, for numbers ``mean`` and ``stddev`` too.

    Columns whose names begin with ``_`` are caudal's own and are left out. Times are ISO text. Where a file does not tell least
    and greatest of a text (very long ones), they are None.
    """
    with ThreadPoolExecutor(usable_cores()) as threads:
        parts = list(threads.map(_of_file, files))  # put together in the files' order, which decides the last digit of a mean
    found: dict[str, Running] = {}
    for part in parts:
        for name, more in part.items():
            found.setdefault(name, Running(number=more.number)).join(more)
    return {name: running.as_dict() for name, running in found.items()}


def _of_file(path: Place) -> dict[str, Running]:
    """Return the figures of one file's columns."""
    import pyarrow.parquet as pq

    with translate_storage_errors(path), pq.ParquetFile(readable(path)) as file:
        kinds = {
            field.name: field.type for field in file.schema_arrow if not field.name.startswith("_") and not _nested(field.type)
        }
        found = {name: Running(number=_number(kind)) for name, kind in kinds.items()}
        numbers = [name for name, one in found.items() if one.number]
        for name, nulls, least, greatest, told in _footer(file, [name for name in kinds if name not in numbers]):
            found[name].nulls += nulls
            found[name].bound(least, greatest)
            found[name].silent |= not told
        for batch in file.iter_batches(BATCH_ROWS, columns=numbers) if numbers else ():
            for name in numbers:
                _take(found[name], batch.column(name))
    return found


def _footer(file: pq.ParquetFile, names: Sequence[str]) -> Iterator[tuple[str, int, Any, Any, bool]]:
    """Yield name, nulls, least, greatest and whether those are known, of each column of each row group."""
    wanted = set(names)
    for place in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(place)
        for i in range(group.num_columns):
            column = group.column(i)
            if column.path_in_schema not in wanted:
                continue
            told = column.statistics
            nulls = told.null_count if told is not None and told.has_null_count else 0
            if told is not None and told.has_min_max:
                try:
                    least, greatest = told.min, told.max
                except (OverflowError, ValueError):  # a year that Python's calendar does not have
                    yield column.path_in_schema, nulls, None, None, False
                    continue
                yield column.path_in_schema, nulls, least, greatest, True
            else:
                yield column.path_in_schema, nulls, None, None, nulls == column.num_values


def _take(running: Running, values: pa.Array) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    running.nulls += values.null_count
    if not pa.types.is_floating(values.type):
        bounds = pc.min_max(values).as_py()
        values = values.cast(pa.float64(), safe=False)
    else:
        if not pc.all(pc.is_finite(values)).as_py() and len(values) > values.null_count:
            values = values.filter(pc.is_finite(values))
        bounds = pc.min_max(values).as_py()
    if pa.types.is_float32(values.type):  # 0.1, not 0.10000000149011612
        bounds = {name: None if value is None else float(str(np.float32(value))) for name, value in bounds.items()}
    running.bound(bounds["min"], bounds["max"])
    count = len(values) - values.null_count
    if count:
        running.add(count, pc.mean(values).as_py(), pc.variance(values, ddof=0).as_py() * count)


def _number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _nested(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, str | int | float | bool) else float(value)
