"""Wall times that clocks showed twice or never, counted in Parquet files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caudal.batch.steps.wall_times import odd_wall_times


def written(folder: Path, *times: str | None, name: str = "a") -> Path:
    """Write times, two to a row group."""
    moments = [None if time is None else dt.datetime.fromisoformat(time) for time in times]
    table = pa.table({"at": pa.array(moments, pa.timestamp("us")), "n": range(len(moments))})
    (folder / "_day=x").mkdir(exist_ok=True)
    pq.write_table(table, folder / "_day=x" / f"{name}.parquet", row_group_size=2)
    return folder


@pytest.mark.parametrize(
    ("tz", "times", "twice", "never"),
    [
        (
            "Europe/Berlin",
            ["2024-10-27T01:59:59", "2024-10-27T02:00", "2024-10-27T02:59:59.999999", "2024-10-27T03:00", None],
            2,
            0,
        ),
        (
            "Europe/Berlin",
            ["2024-03-31T01:59:59", "2024-03-31T02:00", "2024-03-31T02:59:59.999999", "2024-03-31T03:00", None],
            0,
            2,
        ),
        ("Australia/Lord_Howe", ["2024-04-07T01:29", "2024-04-07T01:30", "2024-10-06T02:29", "2024-10-06T02:30"], 1, 1),
        ("Pacific/Apia", ["2011-12-30T00:00", "2011-12-30T23:59", "2011-12-31T00:00"], 0, 2),
        ("UTC", ["2024-10-27T02:00", "2024-03-31T02:30"], 0, 0),
        ("Asia/Kolkata", ["2024-10-27T02:00", "2024-03-31T02:30"], 0, 0),
    ],
)
def test_times_are_counted_at_the_very_edges(tmp_path: Path, tz: str, times: list[str | None], twice: int, never: int) -> None:
    sentences = odd_wall_times(written(tmp_path, *times), ["at"], tz)
    assert [sentence.split(" ")[0] for sentence in sentences if "showed twice" in sentence] == ([str(twice)] if twice else [])
    assert [sentence.split(" ")[0] for sentence in sentences if "left out" in sentence] == ([str(never)] if never else [])


def test_files_are_added_up_and_columns_that_a_file_lacks_are_passed_over(tmp_path: Path) -> None:
    written(tmp_path, "2024-10-27T02:00", name="a")
    written(tmp_path, *["2024-10-27T02:30"] * 1999, name="b")
    (told,) = odd_wall_times(tmp_path, ["at", "other"], "Europe/Berlin")
    assert told.startswith("2,000 rows have a time in 'at' that the clocks of Europe/Berlin showed twice")
    assert "timestamp_utc" in told
