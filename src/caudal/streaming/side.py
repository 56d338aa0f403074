"""An input of a join: the rows that each published version adds, recent ones in memory, older ones from the table's files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caudal.declarations.join import stream_keys
from caudal.declarations.node import Node, Source
from caudal.declarations.statistics import Statistics
from caudal.stages import statistics
from caudal.stages.join import first_of_keys, moments_in_micros, new_rows
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.tables.added import Lookup, added_files, has_version
from caudal.tables.frames import arrow

Array = np.ndarray
_LAST = 1 << 62


class Side:
    """A stream's table, followed version by version; a sample that arrives again is taken once.

    Attributes
    ----------
    version : int, the last one that has been taken; -1 before the first
    newest_us : int, the greatest event time that has been taken, microseconds; None before the first row
    """

    def __init__(self, node: Node, folder: Place) -> None:
        assert node.event_time is not None
        assert isinstance(node, Source | Statistics)
        self.name, self.folder, self.late_us = node.name, folder, round(node.late_s * 1e6)
        self.schema = _schema(node)
        self.version = -1
        self.newest_us: int | None = None
        self._at, self._keys = node.event_time, stream_keys(node)
        self._lookup = Lookup(folder, self._at, self.schema)
        self._rows, self._floor_us = self.schema.empty_table(), 0

    def resume(self, version: int, reach_us: int) -> None:
        """Resume after a version, with the rows of the last ``reach_us`` in memory."""
        self.version = version
        self.newest_us = self.newest_at(version)
        if self.newest_us is not None:
            self._floor_us = max(self.newest_us - reach_us, 0)
            self._rows = first_of_keys(self._lookup.near(version, np.array([self._floor_us]), np.array([_LAST])), self._keys)

    def newest_at(self, version: int) -> int | None:
        """Return the greatest event time in a version, microseconds."""
        return self._lookup.newest_us(version) if version >= 0 else None

    @property
    def news(self) -> bool:
        """Whether there is a version that has not been taken."""
        return has_version(self.folder, self.version + 1)

    def take(self) -> pa.Table:
        """Return the rows that the next version adds, without those already taken."""
        added_rows = self._lookup.rows([str(file) for file in added_files(self.folder, self.version + 1)])
        at = moments_in_micros(added_rows, self._at)
        rows = new_rows(added_rows, self.near(at, 0), self._keys) if len(added_rows) else added_rows
        self.version += 1
        if len(rows):
            self.newest_us = max(int(at.max()), self.newest_us or 0)
            recent = rows.filter(pc.greater_equal(_number(rows, self._at), self._floor_us))
            self._rows = pa.concat_tables([self._rows, recent])
        return rows

    def near(self, at: Array, reach_us: int) -> pa.Table:
        """Return rows that have been taken, including all within ``reach_us`` of one of the times ``at``."""
        return self._both(at - reach_us, at + reach_us)

    def between(self, low: int, high: int) -> pa.Table:
        """Return the rows that have been taken from ``low`` to before ``high``."""
        rows = self._both(np.array([low]), np.array([high - 1]))
        at = _number(rows, self._at)
        return rows.filter(pc.and_(pc.greater_equal(at, low), pc.less(at, high)))

    def count(self, low: int, high: int) -> int:
        """Return how many rows `between` would read from the table's files; the rows in memory are few."""
        high = min(high, self._floor_us)
        return self._lookup.count(self.version, low, high) if low < high and self.version >= 0 else 0

    def forget(self, before_us: int) -> None:
        """Drop rows from before a moment from memory; they stay in the table."""
        if before_us > self._floor_us:
            self._floor_us = before_us
            self._rows = self._rows.filter(pc.greater_equal(_number(self._rows, self._at), before_us)).combine_chunks()

    @property
    def held_bytes(self) -> int:
        """The size of the rows in memory."""
        return int(self._rows.nbytes)

    def _both(self, low: Array, high: Array) -> pa.Table:
        is_old = low < self._floor_us
        if self.version < 0 or not is_old.any():
            return self._rows
        older = self._lookup.near(self.version, low[is_old], np.minimum(high[is_old], self._floor_us - 1))
        return pa.concat_tables([first_of_keys(older, self._keys), self._rows])


class Fixed:
    """A table that is not a stream: its newest version, as a whole."""

    def __init__(self, node: Node, folder: Place) -> None:
        self.name, self.folder = node.name, folder
        self.version = -1
        self.rows: pa.Table | None = None

    def renew(self) -> bool:
        """Read the newest version; return whether there is one."""
        if self.rows is None or has_version(self.folder, self.version + 1):
            newest = delta.version_of(self.folder)
            if newest is None:
                return False
            rows = arrow(delta.read_version(self.folder, newest))
            self.rows = rows.select([name for name in rows.column_names if not name.startswith("_")])
            self.version = newest
        return True


def _schema(node: Source | Statistics) -> pa.Schema:
    """Return the declared Arrow schema of a stream's table."""
    if isinstance(node, Statistics):
        return statistics.window_schema(node)
    connection: Any = node.connection
    fixed = [("device", pa.int64()), ("seq", pa.int64()), ("at", pa.timestamp("us", "UTC"))]
    return pa.schema([*fixed, *((name, pa.float32()) for name in connection.channels)])


def _number(rows: pa.Table, column: str) -> pa.ChunkedArray:
    return rows.column(column).cast(pa.int64())
