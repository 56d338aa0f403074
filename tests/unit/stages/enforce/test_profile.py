"""The figures of written files are those that pandas gives for the same rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from caudal.stages.enforce.judging.profile import parquet, profile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_figures_equal_those_of_pandas(spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.range(0, 5000, 1, 3).selectExpr(
        "id",
        "cast(id % 100 AS int) AS small",
        "if(id % 7 = 0, null, 4200 + sin(id)) AS sine",
        "cast(id / 8 AS decimal(12, 3)) AS price",
        "if(id % 5 = 0, null, concat('zone ', id % 40)) AS zone",
        "id % 2 = 0 AS even",
        "timestamp_ntz'2023-01-01' + make_dt_interval(0, 0, 0, cast(id AS int)) AS at",
        "date_add(date'2023-01-01', cast(id % 30 AS int)) AS day",
        "cast(null AS double) AS nothing",
        "array(id) AS list",
        "id AS _own",
    )
    frame.write.parquet(str(tmp_path / "t"))
    files = parquet(tmp_path / "t")
    written, data = profile(files), frame.toPandas()
    told = written.columns
    assert written.rows == 5000
    assert set(told) == {"id", "small", "sine", "price", "zone", "even", "at", "day", "nothing"}
    for name in ("id", "small", "sine", "price"):
        values = data[name].astype(float)
        assert told[name]["nulls"] == values.isna().sum()
        assert [told[name][one] for one in ("min", "max", "mean", "stddev")] == pytest.approx(
            [values.min(), values.max(), values.mean(), values.std()], rel=1e-12
        )
    assert told["zone"] == {"nulls": 1000, "min": min(data.zone.dropna()), "max": max(data.zone.dropna())}
    assert told["at"] == {"nulls": 0, "min": "2023-01-01T00:00:00", "max": data["at"].max().isoformat()}
    assert told["day"] == {"nulls": 0, "min": "2023-01-01", "max": "2023-01-30"}
    assert told["nothing"] == {"nulls": 5000, "min": None, "max": None, "mean": None, "stddev": None}
    assert told["even"] == {"nulls": 0, "min": False, "max": True}


def test_nan_and_infinity_are_left_out(spark: SparkSession, tmp_path: Path) -> None:
    values = [(1.0,), (float("nan"),), (3.0,), (float("inf"),), (None,)]
    spark.createDataFrame(values, "x double").coalesce(1).write.parquet(str(tmp_path / "t"))
    assert profile(parquet(tmp_path / "t")).columns["x"] == {
        "nulls": 1,
        "min": 1.0,
        "max": 3.0,
        "mean": 2.0,
        "stddev": pytest.approx(math.sqrt(2)),
    }


def test_a_spread_that_is_small_beside_the_mean_is_kept(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(0, 1000, 1, 4).selectExpr("1e9 + id % 2 AS x").write.parquet(str(tmp_path / "t"))
    assert profile(parquet(tmp_path / "t")).columns["x"]["stddev"] == pytest.approx(math.sqrt(0.25 * 1000 / 999), rel=1e-9)
