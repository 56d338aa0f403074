"""Spark as one would write it: its reader of binary files, ``mapInPandas``, and the three settings that matter."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from pyspark.sql import SparkSession

from benchmarks.images.peers.task import asked
from benchmarks.images.peers.work import embedder


def main() -> None:
    """Do the task."""
    task = asked()
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    with TemporaryDirectory(dir=Path(task.answer).parent) as scratch:
        conf = {
            "spark.master": f"local[{task.cores}]",
            "spark.driver.memory": "2g",
            "spark.ui.enabled": "false",
            "spark.local.dir": scratch,
            "spark.sql.files.maxPartitionBytes": "16m",
            "spark.sql.files.openCostInBytes": "65536",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "64",
        }
        spark = SparkSession.builder.appName("peer").config(map=conf).getOrCreate()
        spark.sparkContext.setLogLevel("ERROR")
        model, decode = task.model, task.decode

        def embed(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            run = embedder(model, decode)
            for frame in frames:
                yield pd.DataFrame({"path": frame["path"], "embedding": list(run(frame["content"]))})

        def work(folder: str, out: str) -> None:
            read = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(folder).select("path", "content")
            read.mapInPandas(embed, "path string, embedding array<float>").write.parquet(out)

        task.measured(work)
        spark.stop()


if __name__ == "__main__":
    main()
