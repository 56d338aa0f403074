"""What the driver of a cluster does with submitted Python: there is a session of Spark, whose paths are another system's, and in its process the work begins."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import distribution

from pyspark.sql import SparkSession

from caudal.engine.java import java_home
from caudal.engine.jvm import common_options, join_options, spark_environment

job = json.loads(sys.argv[1])
if job["hangs"]:
    time.sleep(600)
if job["fails"]:
    raise SystemExit(job["fails"])
java = java_home()
settings = {
    "spark.master": "local[2]", "spark.app.name": "Databricks Shell", "spark.driver.memory": "1g", "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1", "spark.driver.extraJavaOptions": join_options([*common_options(java), "-Duser.timezone=UTC"]),
    "spark.eventLog.enabled": "true", "spark.eventLog.dir": job["event_logs"], "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false", "spark.ui.port": "0", "spark.ui.showConsoleProgress": "false",
    "spark.hadoop.fs.defaultFS": "dbfs:/", "spark.sql.warehouse.dir": "file:/tmp/none", "spark.sql.session.timeZone": "Asia/Tokyo",
    "spark.sql.shuffle.partitions": "3", **job["spark_conf"],
}  # fmt: skip
with spark_environment(java):
    spark = SparkSession.builder.config(map=settings).getOrCreate()
(entry,) = (each for each in distribution(job["package"]).entry_points if each.name == job["entry_point"])
sys.argv = [entry.name, *job["parameters"]]
try:
    entry.load()()
finally:
    assert spark.sparkContext._jsc is not None, "the session is the cluster's, and goes on"
    spark.stop()
