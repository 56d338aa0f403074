"""What Python workers are forked from, and that a task costs little to begin."""

from __future__ import annotations

import gc
import stat
import subprocess
import sys
import zipimport
from pathlib import Path

from pyspark.sql import SparkSession

from caudal.engine.settings import holds_sockets


def test_workers_are_forked_with_their_modules_and_nothing_is_read_again(spark: SparkSession) -> None:
    def seen(batches):
        import pyarrow as pa

        list(batches)
        said = [" ".join(sys.orig_argv), zipimport.zipimporter.invalidate_caches.__name__, str(gc.get_freeze_count() > 10_000)]
        yield pa.RecordBatch.from_pydict({"said": said})

    found = [row["said"] for row in spark.range(0, 1, 1, 1).mapInArrow(seen, "said string").collect()]
    assert "caudal.engine.daemon pyspark.worker" in found[0]
    assert found[1:] == ["_keep_caches", "True"]


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


def test_java_and_python_meet_at_unix_sockets_that_go_with_the_session(spark: SparkSession) -> None:
    conf = spark.sparkContext.getConf()
    folder = Path(str(conf.get("spark.local.dir")))
    assert conf.get("spark.python.unix.domain.socket.dir") == str(folder)
    spark.range(0, 1, 1, 1).mapInArrow(lambda batches: batches, "id long").collect()
    assert any(stat.S_ISSOCK(file.stat().st_mode) for file in folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_worker_that_java_has_left_ends_without_a_word() -> None:
    script = """if True:
        import os, socket
        from caudal.engine import daemon

        os.environ["PYTHON_DAEMON_KILL_WORKER_ON_FLUSH_FAILURE"] = "1"  # as Spark's Java side does
        here, there = socket.socketpair()
        there.close()
        print(daemon._run_task(here, True))
        """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("1", "")


def test_a_folder_whose_name_is_too_long_for_sockets_is_told() -> None:
    assert holds_sockets(Path("/", "a" * 59))
    assert not holds_sockets(Path("/", "a" * 61))
    assert not holds_sockets(Path("/", "ä" * 40))
