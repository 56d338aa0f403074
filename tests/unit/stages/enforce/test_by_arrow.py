"""Rows that Arrow writes are those that Spark would have written, in the same folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caudal import expect as ex
from caudal.stages.enforce.judging import by_arrow, judge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SEGMENTS = ["00ff", "aa"]


@pytest.fixture
def frame(spark: SparkSession) -> DataFrame:
    """Forty rows of all kinds that are written so, every third value null, of two files and of none."""
    n = "if(id % 3 = 0, null, id)"
    return spark.range(0, 40, 1, 4).selectExpr(
        "id",
        f"cast({n} as tinyint) tiny", f"cast({n} as smallint) small", f"cast({n} as int) whole", f"cast({n} as float) single", f"cast({n} as double) double",
        f"({n}) % 2 = 0 yes", f"concat('ä', {n}) said", f"date_add(if(id = 8, date'0001-01-01', date'1969-12-20'), cast({n} as int)) day",
        f"timestamp_micros(-20 + {n}) moment", f"cast(timestamp_micros(-20 + {n}) as timestamp_ntz) wall",
        f"transform(sequence(1, cast(id % 4 as int)), i -> if(i = 2, null, cast({n} as float))) `a.b`", f"if({n} is null, null, array(concat('x', {n}))) words",
        f"case when id % 3 = 2 then null when id % 2 = 0 then '{SEGMENTS[0]}' else '{SEGMENTS[1]}' end _segment",
    )  # fmt: skip


def back(spark: SparkSession, schema: Any, folder: Path) -> list[Any]:
    read = spark.read.schema(schema).option("basePath", str(folder)).parquet(str(folder))
    return sorted(read.collect(), key=lambda row: row.id)


@pytest.mark.slow
@pytest.mark.parametrize(("by", "segments"), [(["_segment"], SEGMENTS), (["_segment"], ()), ([], ())])
def test_rows_types_and_folders_are_sparks(
    by: list[str], segments: Sequence[str], frame: DataFrame, spark: SparkSession, tmp_path: Path
) -> None:
    judged = judge(frame, [ex.sql("id <> 5", name="five").quarantine(), ex.sql("id < 30", name="small").warn()])
    assert by_arrow.is_suited(judged.frame, tmp_path / "arrow", by)
    judged.write(tmp_path / "arrow", by, segments=segments)
    outcome = judged.outcome(tmp_path / "arrow")
    assert (outcome.rows, outcome.good, outcome.reasons) == (40, 39, {"five": 1})
    assert outcome.checks[1].broken == 10
    plain = tmp_path / "plain"
    judge(frame, [ex.sql("id <> 5", name="five").quarantine()]).frame.write.partitionBy("_verdict", *by).parquet(str(plain))
    assert back(spark, judged.frame.schema, tmp_path / "arrow") == back(spark, judged.frame.schema, plain)
    places = [{file.parent.relative_to(folder) for file in folder.rglob("*.parquet")} for folder in (tmp_path / "arrow", plain)]
    assert places[0] == places[1]
    schemas = [pq.read_schema(next(folder.rglob("*.parquet"))) for folder in (tmp_path / "arrow", plain)]
    assert schemas[0].names == schemas[1].names
    assert [field.type for field in schemas[0]] == [field.type for field in schemas[1]]


def test_a_row_of_a_segment_that_was_not_announced_is_an_error(frame: DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not announced"):
        judge(frame, []).write(tmp_path / "written", ["_segment"], segments=SEGMENTS[:1])


def test_what_was_there_is_replaced_and_what_an_attempt_left_is_not_taken(
    frame: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = by_arrow._worker

    def with_remains(attempts: str, *told: list[str]) -> Any:
        (Path(attempts) / "part-00000-died.parquet").write_bytes(b"PAR1")
        return work(attempts, *told)

    monkeypatch.setattr(by_arrow, "_worker", with_remains)
    (tmp_path / "written").mkdir()
    (tmp_path / "written" / "old.parquet").write_bytes(b"PAR1")
    judge(frame, []).write(tmp_path / "written")
    files = list((tmp_path / "written").rglob("*"))
    assert {file.name for file in files if file.is_dir()} == {"_verdict=good"}
    assert sum(pq.read_metadata(file).num_rows for file in files if file.is_file()) == 40


@pytest.mark.parametrize(
    ("columns", "by"),
    [
        (["id"], []),
        (["id", "array(struct(id)) s", "array(1F) f"], []),
        (["id", "cast('a' as binary) b", "array(1F) f"], []),
        (["id", "array(1F) f", "current_date() day"], ["day"]),
    ],
)
def test_other_rows_are_left_to_spark(columns: list[str], by: list[str], spark: SparkSession, tmp_path: Path) -> None:
    assert not by_arrow.is_suited(judge(spark.range(3).selectExpr(*columns), []).frame, tmp_path, by)


def test_no_rows_are_no_files(frame: DataFrame, tmp_path: Path) -> None:
    judged = judge(frame.where("id < 0"), [])
    judged.write(tmp_path / "written", ["_segment"])
    assert judged.outcome(tmp_path / "written").rows == 0


@pytest.mark.slow
def test_groups_are_bounded(spark: SparkSession, tmp_path: Path) -> None:
    """48 MB of rows in one task, which come in two pieces, are two groups of one file."""
    rows = spark.range(0, 12_000, 1, 1).selectExpr("id", "transform(sequence(1, 1024), i -> cast(i + id as float)) f")
    judge(rows, []).write(tmp_path / "written")
    (file,) = (tmp_path / "written").rglob("*.parquet")
    assert pq.read_metadata(file).num_row_groups == 2


def test_rows_are_written_by_other_workers_than_those_that_make_them(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(pieces: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for piece in pieces:
            features = pa.array([[1.0]] * len(piece), pa.list_(pa.float32()))
            yield pa.RecordBatch.from_arrays([pa.array([os.getpid()] * len(piece)), features], ["pid", "features"])

    def watched(*told: Any) -> Any:
        write, pids = work(*told), str(tmp_path)

        def and_tell(pieces: Any) -> Any:
            (Path(pids) / f"{os.getpid()}.writes").touch()
            yield from write(pieces)

        return and_tell

    work = by_arrow._worker
    monkeypatch.setattr(by_arrow, "_worker", watched)
    for turn in range(3):
        judge(spark.range(0, 40, 1, 4).mapInArrow(made, "pid long, features array<float>"), []).write(tmp_path / f"written{turn}")
    makes = {row.pid for turn in range(3) for row in spark.read.parquet(str(tmp_path / f"written{turn}")).select("pid").collect()}
    writes = {int(file.stem) for file in tmp_path.glob("*.writes")}
    assert makes
    assert writes
    assert makes.isdisjoint(writes)
