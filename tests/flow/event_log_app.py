"""An application with batch, shuffle-heavy, spilling, failing and streaming jobs; writes what the UI's REST API says of it at its end.

python event_log_app.py FOLDER [name=value …]
"""

import json
import sys
import tempfile
import urllib.request
from pathlib import Path

from caudal.engine import session, stop

folder, settings = Path(sys.argv[1]), dict(argument.split("=", 1) for argument in sys.argv[2:])
(folder / "events").mkdir(parents=True)
spark = session(
    memory="1g", cores=2, brief=True,
    conf={"spark.ui.enabled": "true", "spark.ui.port": "0", "spark.eventLog.enabled": "true", "spark.eventLog.dir": (folder / "events").as_uri(),
          "spark.hadoop.our.secret.key": "Zq7-planted", **settings},
)  # fmt: skip
context = spark.sparkContext


def fail(number):
    if number == 3:
        raise ValueError("the third")
    return number


def slow(number):
    import time

    time.sleep(1.2 if number == 0 else 0.01)
    return number


spark.range(20_000, numPartitions=4).selectExpr("id", "id % 7 AS k").write.parquet(str(folder / "rows"))
rows = spark.read.parquet(str(folder / "rows"))
if "spark.only" not in settings:
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    spark.conf.set("spark.sql.shuffle.partitions", "8")
    rows.groupBy("k").count().join(rows, "k").repartition(5).orderBy("id").write.format("noop").mode("overwrite").save()
    context.parallelize(range(200_000), 4).map(lambda number: (number % 1000, "x" * 50)).groupByKey(4).mapValues(len).count()
    # Each of the sort's batches goes to disk after so many records.
    spark.range(200_000, numPartitions=2).selectExpr("hash(id) AS h", "repeat('y', 40) AS y").sortWithinPartitions(
        "h"
    ).write.format("noop").mode("overwrite").save()
    context.setJobDescription("fails")
    for action in (
        lambda: context.parallelize(range(4), 4).map(fail).count(),
        lambda: spark.sql("SELECT raise_error('no') FROM range(3)").collect(),
    ):
        try:
            action()
        except Exception as error:  # noqa: BLE001 it is meant to fail
            print(f"failed, as it should: {type(error).__name__}")
    context.setJobDescription(None)
    context.parallelize(range(8), 8).map(slow).count()
    cached = rows.cache()
    cached.count()
    cached.count()
    stream = spark.readStream.schema("id LONG, k LONG").parquet(str(folder / "rows")).groupBy("k").count()
    query = (
        stream.writeStream.format("noop")
        .outputMode("complete")
        .option("checkpointLocation", tempfile.mkdtemp(dir=folder))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()

context._jsc.sc().listenerBus().waitUntilEmpty(60_000)
base = f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}"


def get(path):
    with urllib.request.urlopen(f"{base}/{path}", timeout=120) as answer:
        return json.load(answer)


stages = get("stages?details=false")
rest = {
    "jobs": get("jobs"), "stages": stages,
    "tasks": {f"{one['stageId']}.{one['attemptId']}": get(f"stages/{one['stageId']}/{one['attemptId']}/taskList?length=100000") for one in stages if one["status"] != "SKIPPED"},
    "quantiles": {f"{one['stageId']}.{one['attemptId']}": get(f"stages/{one['stageId']}/{one['attemptId']}/taskSummary?quantiles=0,0.25,0.5,0.75,0.95,1") for one in stages if one["numCompleteTasks"]},
    "sql": get("sql?details=false&length=1000"), "executors": get("allexecutors"),
}  # fmt: skip
(folder / "rest.json").write_text(json.dumps(rest))
stop()
