"""What Python workers are forked from, and that a task costs little to begin."""

from __future__ import annotations

import gc
import sys
import zipimport

from pyspark.sql import SparkSession


def test_workers_are_forked_with_their_modules_and_nothing_is_read_again(spark: SparkSession) -> None:
    def seen(batches):
        import pyarrow as pa

        list(batches)
        said = [" ".join(sys.orig_argv), zipimport.zipimporter.invalidate_caches.__name__, str(gc.get_freeze_count() > 10_000)]
        yield pa.RecordBatch.from_pydict({"said": said})

    found = [row["said"] for row in spark.range(0, 1, 1, 1).mapInArrow(seen, "said string").collect()]
    assert "caudal.spark.daemon pyspark.worker" in found[0]
    assert found[1:] == ["_as_it_was", "True"]


def test_modules_that_come_later_are_found(spark: SparkSession, tmp_path) -> None:
    """What the workers no longer read again are archives that were there from the beginning."""
    import zipfile

    def asked(batches):
        import importlib

        import pyarrow as pa

        list(batches)
        yield pa.RecordBatch.from_pydict({"said": [importlib.import_module("came_later").SAID]})

    with zipfile.ZipFile(tmp_path / "came_later.zip", "w") as archive:
        archive.writestr("came_later.py", "SAID = 'here'\n")
    spark.range(0, 1, 1, 1).mapInArrow(lambda batches: batches, "id long").collect()  # workers are there already
    spark.sparkContext.addPyFile(str(tmp_path / "came_later.zip"))
    assert [row["said"] for row in spark.range(0, 1, 1, 1).mapInArrow(asked, "said string").collect()] == ["here"]
