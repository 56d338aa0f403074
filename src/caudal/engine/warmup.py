"""Make the class-data archive: ``python -m caudal.engine.warmup``.

It runs a small job that uses what caudal's runs use, so that the archive includes those classes too. With ``--idly`` it takes only
idle CPU time.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as f
from pyspark.sql.window import Window

from caudal.engine import cds
from caudal.engine.session import plan_session, start, stop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def run_warmup(arguments: list[str]) -> int:
    """Make the archive if it is missing; return 0 if it exists afterwards."""
    chosen = plan_session(cores=1, memory="1g")
    if not cds.enabled() or not chosen.local:
        return 1
    if chosen.archive.is_file():
        return 0
    if "--idly" in arguments:
        with contextlib.suppress(OSError, AttributeError):
            os.nice(19)
    with cds.dumping(chosen.archive) as unfinished:
        if unfinished is None:
            return 1
        spark = start(chosen, cds.dump(chosen.java, unfinished))
        with tempfile.TemporaryDirectory() as folder:
            touch(spark, Path(folder))
        stop(wait_s=cds.STALE_S)
    return 0 if chosen.archive.is_file() else 1


def touch(spark: SparkSession, folder: Path) -> None:
    """Write, read, join, aggregate and window a few rows, as a typical run does."""
    (folder / "in.csv").write_text("id,zone,at,fare\n1,a,2024-01-01 00:00:00,1.5\n2,b,2024-01-01 00:20:00,x\n")
    raw = spark.read.csv(str(folder / "in.csv"), header=True, schema="id long, zone string, at timestamp, fare double")
    raw.withColumn("day", f.to_date("at")).write.partitionBy("day").parquet(str(folder / "parquet"))
    rows = spark.read.parquet(str(folder / "parquet"))
    per_window = rows.groupBy(f.window("at", "15 minutes"), "zone").agg(f.count("*").alias("n"), f.avg("fare"))
    lagged = rows.withColumn("before", f.lag("fare").over(Window.partitionBy("zone").orderBy("at")))
    lagged.join(per_window, "zone", "left").orderBy("id").collect()
    rows.dropDuplicates(["id"]).limit(1).toPandas()
    spark.createDataFrame([(1, "a")], "id long, zone string").createOrReplaceTempView("small")
    spark.sql("select zone, approx_count_distinct(id), sha2(zone, 256) from small group by zone").collect()
    rows.select("id").mapInArrow(lambda batches: batches, "id long").collect()


if __name__ == "__main__":
    sys.exit(run_warmup(sys.argv[1:]))
