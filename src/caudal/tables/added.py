"""The rows that each version of a table has added, for readers that follow the table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from caudal.errors import StepFailed
from caudal.storage import delta, delta_log
from caudal.storage.parquet import dataset, open_parquet
from caudal.storage.place import Place, place
from caudal.tables.intact import name_damaged_file

Array = NDArray[np.int64]
_DAY_US = 86_400_000_000
_MOST_STRETCHES = 200
_BATCH_ROWS = 131_072


def has_version(folder: Place, version: int) -> bool:
    """Return whether a table has a version of that number; the cost does not depend on the number of versions."""
    return (folder / "_delta_log" / f"{version:020d}.json").is_file()


def added_files(folder: Place, version: int) -> list[Place]:
    """Return the files whose rows a version has added; merging small files adds none.

    Raises
    ------
    StepFailed : the version has removed rows
    """
    actions = delta_log.actions(folder / "_delta_log" / f"{version:020d}.json")
    if any("remove" in action for action in actions):
        if "compacted" in delta.identity(folder, version):
            return []
        raise StepFailed(
            f"Version {version} of table '{folder.name}' has removed rows, and tables that follow it cannot know which.",
            fix="Move the tables that follow it away; they are made again from what there is.",
            table=folder.name,
        )
    return [folder / unquote(action["add"]["path"]) for action in actions if "add" in action]


def last_commit_with(folder: Place, about: str) -> tuple[int, dict[str, Any]] | None:
    """Return the newest version whose commit info has the key ``about``, and that commit info; None if there is none."""
    newest = delta.version_of(folder)
    for number in range(-1 if newest is None else newest, -1, -1):  # a column is added by a separate commit, without the key
        identity = delta.identity(folder, number)
        if about in identity:
            return number, identity
    return None


class Lookup:
    """Rows of a table by their time, read from the files that can hold them.

    Parameters
    ----------
    at : the column (UTC) of a row's time
    schema : Arrow schema of the wanted columns; a column that a file lacks is null
    """

    def __init__(self, folder: Place, at: str, schema: pa.Schema) -> None:
        self.folder, self._at, self._schema = folder, at, schema
        self._bounds: dict[str, tuple[int, int] | None] = {}

    @property
    def columns(self) -> list[str]:
        """The names of the wanted columns."""
        return list(self._schema.names)

    def reads(self, schema: pa.Schema) -> bool:
        """Return whether the wanted columns are these."""
        return bool(self._schema.equals(schema))

    def newest_us(self, version: int) -> int | None:
        """Return the greatest time in a version, microseconds; None if it has no rows."""
        file_bounds = [bounds for _, bounds in self._files(version)]
        if any(time_range is None for time_range in file_bounds):
            moments = self.rows([str(file) for file, _ in self._files(version)]).column(self._at)
            return None if not len(moments) else int(pc.max(moments).cast("int64").as_py())
        return max((time_range[1] for time_range in file_bounds if time_range is not None), default=None)

    def rows(self, files: list[str], between: pc.Expression | None = None) -> pa.Table:
        """Return the rows of files as an Arrow table."""
        if not files:
            return self._schema.empty_table()
        with name_damaged_file(lambda: files, f"Table '{self.folder.name}'"):
            return dataset(files, self._schema).to_table(filter=between)

    def near(self, version: int, low: Array, high: Array) -> pa.Table:
        """Return the rows whose time lies in one of some ranges: int64 [n], both ends inclusive."""
        low, high = stretches(low, high)
        return self.rows(self._near(version, low, high), self._between(low, high))

    def batches(self, version: int, low: Array, high: Array) -> Iterator[pa.RecordBatch]:
        """Yield the rows of ``near`` in batches, so that not all of them are in memory at once."""
        low, high = stretches(low, high)
        files = self._near(version, low, high)
        if files:
            with name_damaged_file(lambda: files, f"Table '{self.folder.name}'"):
                yield from dataset(files, self._schema).to_batches(filter=self._between(low, high), batch_size=_BATCH_ROWS)

    def span(self, version: int) -> tuple[int, int] | None:
        """Return the least and the greatest time in a version, microseconds; None if it has no rows."""
        return self.span_of([file for file, _ in self._files(version)])

    def span_of(self, files: list[str]) -> tuple[int, int] | None:
        """Return the least and the greatest time in files of the table, microseconds; None if they have no rows."""
        spans = list[tuple[int, int]]()
        for file in files:
            bounds = self._bounds[file] if file in self._bounds else self._bounds_of(file)
            if bounds is None:  # its footer does not tell
                moments = self.rows([file]).column(self._at)
                ends = pc.min_max(moments).as_py()
                bounds = None if ends["min"] is None else (_us(ends["min"]), _us(ends["max"]))
            if bounds is not None:
                spans.append(bounds)
        return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None

    def _near(self, version: int, low: Array, high: Array) -> list[str]:
        """Return the files of a version that can hold rows of some ranges, which do not overlap."""
        return [
            file
            for file, bounds in self._files(version, low, high)
            if bounds is None or np.any((low <= bounds[1]) & (high >= bounds[0]))
        ]

    def count(self, version: int, low: int, high: int) -> int:
        """Return how many rows there are from ``low`` to before ``high``."""
        ends = np.array([low]), np.array([high - 1])
        files = [file for file, bounds in self._files(version, *ends) if bounds is None or (low <= bounds[1] and high > bounds[0])]
        if not files:
            return 0
        return int(dataset(files, self._schema).count_rows(filter=self._between(*ends)))

    def _between(self, low: Array, high: Array) -> pc.Expression | None:
        condition = None
        for start, end in zip(low.tolist(), high.tolist(), strict=True):
            first, last = (pa.scalar(end_us, pa.int64()).cast(self._schema.field(self._at).type) for end_us in (start, end))
            in_range = (pc.field(self._at) >= first) & (pc.field(self._at) <= last)
            condition = in_range if condition is None else condition | in_range
        return condition

    def _files(self, version: int, low: Array | None = None, high: Array | None = None) -> list[tuple[str, tuple[int, int] | None]]:
        """Return the files of a version that can hold rows of some ranges, by day, and the first and last time in each."""
        table_version = delta.read_version(self.folder, version)
        paths = [
            path
            for file, path in zip(table_version.files, table_version.paths(), strict=True)
            if low is None or high is None or _on(file.day, low, high)
        ]
        bounds_by_path = {path: self._bounds[path] if path in self._bounds else self._bounds_of(path) for path in paths}
        all_paths = set(table_version.paths())
        self._bounds = {path: bounds for path, bounds in self._bounds.items() if path in all_paths} | bounds_by_path
        return list(bounds_by_path.items())

    def _bounds_of(self, path: str) -> tuple[int, int] | None:
        """Return the first and the last time in a file, from its footer."""
        with open_parquet(place(path)) as file:
            metadata = file.metadata
        at = next((i for i in range(metadata.num_columns) if metadata.schema.column(i).path == self._at), None)
        if at is None:
            return None
        groups = [metadata.row_group(i).column(at).statistics for i in range(metadata.num_row_groups)]
        if any(group is None or not group.has_min_max for group in groups) or not groups:
            return None
        return min(_us(group.min) for group in groups), max(_us(group.max) for group in groups)


def stretches(low: Array, high: Array) -> tuple[Array, Array]:
    """Return ranges in order, without overlaps; if there are very many, ranges that lie close are merged.

    Examples
    --------
    >>> low, high = stretches(np.array([5, 0, 2]), np.array([6, 3, 4]))
    >>> low.tolist(), high.tolist()
    ([0, 5], [4, 6])
    """
    if not len(low):
        return low, high
    order = np.argsort(low, kind="stable")
    low, reach = low[order], np.maximum.accumulate(high[order])
    gap = 0
    while True:
        cuts = np.flatnonzero(low[1:] > reach[:-1] + gap)
        if len(cuts) < _MOST_STRETCHES:
            return low[np.concatenate(([0], cuts + 1))], reach[np.append(cuts, len(low) - 1)]
        gap = max(gap * 4, 1_000_000)


def _on(day: str | None, low: Array, high: Array) -> bool:
    """Return whether a day, in any time zone, can contain a time of some ranges."""
    if day is None:
        return True
    start = (dt.date.fromisoformat(day) - dt.date(1970, 1, 1)).days * _DAY_US
    return bool(np.any((low < start + 2 * _DAY_US) & (high >= start - _DAY_US)))


def _us(moment: int | dt.datetime) -> int:
    if isinstance(moment, int):
        return moment
    utc = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (utc - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
