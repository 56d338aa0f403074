"""Arrow rows are written by day, as Spark reads them back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from caudal.tables.rows import by_day, write_rows


def moments(*days: int | None) -> pa.Table:
    """Return rows at noon of days of January."""
    at = [None if day is None else datetime(2024, 1, day, 23, 30, tzinfo=UTC) for day in days]
    return pa.table({"at": pa.array(at, pa.timestamp("us", "UTC")), "n": pa.array(range(len(days)), pa.int64())})


def test_rows_go_by_the_day_of_their_zone() -> None:
    parts = {day: rows.column("n").to_pylist() for day, rows in by_day(moments(1, 2, None, 1), "at", "Europe/Berlin")}
    assert parts == {"2024-01-02": [0, 3], "2024-01-03": [1], None: [2]}
    assert [day for day, _ in by_day(moments(1, 1), "at", "UTC")] == ["2024-01-01"]
    assert [day for day, _ in by_day(moments(1, 2), "at", None)] == [None]
    assert list(by_day(moments(), "at", "UTC")) == []
    assert list(by_day(moments(), "at", None)) == []
    assert [day for day, _ in by_day(moments(None), "at", "UTC")] == [None]


def test_what_is_written_is_read(tmp_path: Path, spark) -> None:
    rows = moments(1, 2).append_column("value", pa.array([1.5, None], pa.float32())).append_column("word", pa.array(["a", None]))
    rows = rows.append_column("counts", pa.array([[1, 2], []], pa.list_(pa.int64())))
    write_rows(rows, tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").equals(rows)
    got = spark.read.parquet(str(tmp_path / "rows.parquet")).orderBy("n").collect()
    assert [(row["n"], row["value"], row["word"], row["counts"]) for row in got] == [(0, 1.5, "a", [1, 2]), (1, None, None, [])]
