"""Exact sums beside Spark's own: ``python -m benchmarks.sums``.

The same frame is added up in four ways in turn, ``ROUNDS`` times; the least processor time of this process and of Java counts, since other
work on the machine only adds. Small frames show what a plan costs, large ones what a row costs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, functions as F
from pyspark.sql.types import DoubleType

from caudal.engine.exact import common_magnitudes, exact_sum
from caudal.engine.session import session

ROUNDS = 7
SIZES = ((50_000, 2_000), (1_000_000, 100_000))  # rows, groups
COLUMNS = ("a", "b", "c")

Way = Callable[[DataFrame], DataFrame]


def plain(frame: DataFrame) -> DataFrame:
    """Return Spark's sums, whose last digits depend on the order."""
    return frame.groupBy("group").agg(*(F.sum(name) for name in COLUMNS))


def decimals(frame: DataFrame) -> DataFrame:
    """Return sums of decimals with nine digits behind the point."""
    return frame.groupBy("group").agg(*(F.sum(F.col(name).cast("decimal(38,9)")) for name in COLUMNS))


def common(frame: DataFrame) -> DataFrame:
    """Return the exact sums that steps begin with."""
    with common_magnitudes():
        return every(frame)


def every(frame: DataFrame) -> DataFrame:
    """Return the exact sums that a frame outside a step has."""
    sums = {name: exact_sum(name, DoubleType()) for name in COLUMNS}
    parts = {f"{name}_{place}": part for name, sum_ in sums.items() for place, part in enumerate(sum_.parts)}
    grouped = frame.groupBy("group").agg(*(part.alias(place) for place, part in parts.items()))
    return grouped.select(
        "group", *(sum_.value([f"{name}_{place}" for place in range(len(sum_.parts))]) for name, sum_ in sums.items())
    )


def processor_s(spark: SparkSession) -> float:
    """Return the processor time of this process and of its Java, seconds."""
    java = int(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())
    ticks = Path(f"/proc/{java}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[11:13]
    own = os.times()
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") + own.user + own.system


def least(spark: SparkSession, frame: DataFrame, ways: dict[str, Way]) -> dict[str, float]:
    """Return the least processor time of each way, seconds."""
    times = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = processor_s(spark)
            way(frame).write.format("noop").mode("overwrite").save()
            times[name] = min(times[name], processor_s(spark) - began)
    return times


def main() -> None:
    """Measure and print."""
    spark = session()
    ways: dict[str, Way] = {"plain": plain, "decimal(38,9)": decimals, "common magnitudes": common, "every magnitude": every}
    for rows, groups in SIZES:
        frame = spark.range(rows).withColumn("group", F.col("id") % groups)
        frame = frame.withColumns({name: F.round(F.rand(seed) * 100, 2) for seed, name in enumerate(COLUMNS)}).persist()
        frame.count()
        times = least(spark, frame, ways)
        print(f"{rows:,} rows, {groups:,} groups, sums of {len(COLUMNS)} columns, processor time")
        for name, time_s in times.items():
            print(f"  {name:<18} {time_s:6.2f} s  {time_s / times['plain']:5.1f}")
        frame.unpersist()


if __name__ == "__main__":
    main()
