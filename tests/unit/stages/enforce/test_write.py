"""Judged rows lie in the folders of their verdict and partitions, whichever way they were written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from caudal import expect as ex
from caudal.stages.enforce.judging import judge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SEGMENTS = ["1234567890123456", "00ff", "aa"]


@pytest.fixture(scope="module")
def frame(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    """Rows of two days and of none, of two files; key 7 comes three times, twice on one day in one file."""
    made = spark.range(0, 40, 1, 4).selectExpr(
        "if(id % 13 = 7, 7, id) AS id",
        "if(id % 5 = 0, null, date_add(date'1969-12-31', cast(id % 2 AS int))) AS day",
        f"if(id % 2 = 0, '{SEGMENTS[0]}', '{SEGMENTS[1]}') AS _segment",
    )
    folder = str(tmp_path_factory.mktemp("rows") / "frame")
    made.write.parquet(folder)
    return spark.read.schema(made.schema).parquet(folder)


@pytest.fixture(scope="module")
def all_rows(frame: DataFrame) -> list[Any]:
    return sorted(frame.collect(), key=str)


def folders(folder: Path) -> set[str]:
    return {str(file.parent.relative_to(folder)) for file in folder.rglob("*.parquet")}


@pytest.mark.parametrize(
    ("by", "segments"),
    [(["day"], ()), (["_segment", "day"], SEGMENTS), (["_segment", "day"], ()), (["_segment"], SEGMENTS), ([], ())],
)
@pytest.mark.parametrize("repeated", [True, False])
def test_folders_are_those_of_a_plain_partitioned_write(
    by: list[str], segments: Sequence[str], repeated: bool, frame: DataFrame, all_rows: list[Any], tmp_path: Path
) -> None:
    rules = [ex.sql("id <> 3", name="three").quarantine(), *([ex.unique("id").quarantine()] if repeated else [])]
    judged = judge(frame, rules, day="day" if "day" in by else None)
    judged.write(tmp_path / "written", by, segments=segments)
    outcome = judged.outcome(tmp_path / "written")
    assert (outcome.rows, outcome.reasons.get("three")) == (40, 1)
    assert ("unique(id)" in outcome.reasons) == repeated
    back = (
        frame.sparkSession.read.schema(judged.frame.schema)
        .option("basePath", str(tmp_path / "written"))
        .parquet(str(tmp_path / "written"))
    )
    rows = sorted(back.select("id", "day", "_segment").collect(), key=str)
    assert rows == all_rows
    back.write.partitionBy("_verdict", *by).parquet(str(tmp_path / "plain"))
    assert folders(tmp_path / "written") == folders(tmp_path / "plain")
    assert not list((tmp_path / "written").glob("_slot=*"))
    assert not (tmp_path / "written" / "_verdict=waiting").exists()


def test_a_row_of_a_segment_that_was_not_announced_is_an_error(frame: DataFrame, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="segment that was not announced"):
        judge(frame, []).write(tmp_path / "written", ["_segment", "day"], segments=SEGMENTS[:1])


def test_rows_that_wait_are_counted_by_rules_that_warn(frame: DataFrame, all_rows: list[Any], tmp_path: Path) -> None:
    judged = judge(frame, [ex.unique("id").warn(), ex.unique("id", "day").quarantine(), ex.not_null("day").warn()])
    assert len(judged.compared_later) == 2
    judged.write(tmp_path / "written")
    outcome = judged.outcome(tmp_path / "written")
    keys = [((row.id, row._segment), row.day) for row in all_rows]  # keys of two files are never compared
    assert outcome.checks[0].broken == 40 - len({key for key, _ in keys}) > 0
    full = [key for key in keys if key[1] is not None]
    assert outcome.checks[1].broken == outcome.quarantined == len(full) - len(set(full)) > 0
    assert outcome.checks[2].broken == len(keys) - len(full)
