"""A session as a new user meets it: a quiet terminal, nothing left behind, a start made quick by an archive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from caudal.engine import cds, measure_jobs, session
from caudal.errors import EnvironmentProblem

PROGRAM = """
import sys
import caudal.engine
assert "pyspark" not in sys.modules, "importing the room must not import Spark"
spark = caudal.engine.session(cores=1, memory="1g")
options = spark._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments()
print("archive:", any("SharedArchiveFile" in option for option in options))
spark.range(3).mapInArrow(lambda batches: batches, "id long").write.parquet("out")
try:
    spark.range(1).selectExpr("1 / (id * 0) AS x").collect()
except Exception as error:
    print(type(error).__name__)
print("folder:", spark.conf.get("spark.local.dir"), flush=True)
"""

JOINED = """
from pyspark.sql import SparkSession
from caudal.engine import is_running, session, stop
from caudal.engine.java import java_home
from caudal.engine.jvm import common_options, join_options, spark_environment
from caudal.engine.session import join
java = java_home()
options = {"spark.driver.extraJavaOptions": join_options(common_options(java)), "spark.hadoop.fs.defaultFS": "hdfs://none",
           "spark.sql.warehouse.dir": "file:/tmp/none", "spark.sql.session.timeZone": "Asia/Tokyo"}
with spark_environment(java):
    spark = SparkSession.builder.master("local[1]").config(map=options).getOrCreate()
join(spark)
classes = {"spark.sql.sources.commitProtocolClass": "org.none.Protocol"}
assert session(connectors=frozenset({"kafka"}), master="local[7]", conf={**classes, "spark.sql.shuffle.partitions": "5"}) is spark
print(spark.conf.get("spark.sql.session.timeZone"), spark.conf.get("spark.sql.shuffle.partitions"), spark.sparkContext.master)
assert "none" not in spark.conf.get("spark.sql.sources.commitProtocolClass")
spark.range(3).write.parquet("out")  # a path of this machine, whatever the cluster's file system is
stop()
print(is_running(), spark.read.parquet("out").count(), flush=True)
spark.stop()
"""

MAPPED = """
from pathlib import Path
from pyspark import SparkContext
maps = Path(f"/proc/{SparkContext._gateway.proc.pid}/maps")
print(sorted({line.split("/")[-1] for line in maps.read_text().splitlines() if "spark-" in line and line.endswith(".jsa")}))
"""


def environ(cache: Path, cds_: str = "off") -> dict[str, str]:
    """Return the environment of a program that has its own cache and its own place for temporary files."""
    (cache / "tmp").mkdir(exist_ok=True)
    return dict(os.environ) | {"CAUDAL_CACHE": str(cache), "CAUDAL_CDS": cds_, "TMPDIR": str(cache / "tmp")}


@pytest.mark.slow
def test_terminal_is_quiet_and_nothing_stays(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environ(tmp_path), capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    assert ran.stdout.splitlines()[:2] == ["archive: False", "ArithmeticException"]
    assert {entry.name for entry in tmp_path.iterdir()} - {"cds", "java"} == {"out", "tmp"}
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    assert [entry.name for entry in (tmp_path / "tmp").iterdir() if entry.name.startswith("caudal-spark-")] == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no archives on Windows")
def test_archive_is_made_once_and_used(tmp_path: Path) -> None:
    variables = environ(tmp_path, "auto")
    made = subprocess.run(
        [sys.executable, "-m", "caudal.engine.warmup"], env=variables, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stderr) == (0, "")
    [archive] = (tmp_path / "cds").glob("spark-*.jsa")
    assert archive.stat().st_size > 50_000_000
    with zipfile.ZipFile(tmp_path / "driver.jar", "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "")
    with_connector = PROGRAM.replace("session(", "session(connectors=frozenset({'driver.jar'}), ") + MAPPED
    used = subprocess.run(
        [sys.executable, "-c", with_connector], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert used.stdout.splitlines()[0] == "archive: True"
    assert used.stdout.splitlines()[-1] == str([archive.name])
    assert used.stderr == ""
    # A broken archive makes a start slower, never impossible.
    archive.chmod(0o644)
    archive.write_bytes(b"not an archive")
    (tmp_path / "elsewhere").mkdir()
    broken = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path / "elsewhere", env=variables, capture_output=True, text=True, check=False
    )
    assert (broken.returncode, broken.stderr) == (0, "")


@pytest.mark.faults
def test_java_dies_with_a_killed_python(tmp_path: Path) -> None:
    program = (
        PROGRAM
        + "from pyspark import SparkContext\nprint(SparkContext._gateway.proc.pid, flush=True)\nimport time; time.sleep(600)\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert running.stdout
    with running.stdout as told:
        java = int([told.readline() for _ in range(4)][-1])
    running.send_signal(signal.SIGKILL)
    running.wait()
    until = time.monotonic() + 30
    while Path(f"/proc/{java}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{java}").exists()
    assert list((tmp_path / "tmp").glob("caudal-spark-*")) == []


def test_two_dumps_at_once_are_one(tmp_path: Path) -> None:
    archive = tmp_path / "spark-x.jsa"
    with cds.dumping(archive) as first, cds.dumping(archive) as second:
        assert (first is not None, second) == (True, None)
        assert first
        first.write_bytes(b"whole")
        assert not archive.exists()
    assert archive.read_bytes() == b"whole"
    assert [entry.name for entry in tmp_path.iterdir()] == ["spark-x.jsa"]


def test_a_dump_that_failed_is_not_tried_again_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAUDAL_CDS", raising=False)
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    archive = tmp_path / "spark-x.jsa"
    assert cds.wanted(archive)
    with cds.dumping(archive):
        pass
    assert not cds.wanted(archive)
    os.utime(archive.with_suffix(".failed"), (0, 0))
    assert cds.wanted(archive)


def test_the_oldest_archives_go(tmp_path: Path) -> None:
    for number in range(cds.KEPT + 2):
        file = tmp_path / f"spark-{number}.jsa"
        file.touch()
        os.utime(file, (number, number))
    cds.prune(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [f"spark-{n}.jsa" for n in range(2, cds.KEPT + 2)]


def test_an_archive_pushes_out_none_that_was_used_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAUDAL_CDS", raising=False)
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    files = [tmp_path / f"spark-{number}.jsa" for number in range(cds.KEPT)]
    for file in files:
        file.touch()
    assert not cds.wanted(tmp_path / "spark-new.jsa")
    os.utime(files[0], (0, 0))
    assert cds.wanted(tmp_path / "spark-new.jsa")


def test_a_running_session_is_given_again_but_takes_no_new_connector(spark: SparkSession) -> None:
    assert session() is spark
    with pytest.raises(EnvironmentProblem, match="started without kafka"):
        session(connectors=frozenset({"kafka"}))


def test_a_running_session_keeps_the_settings_that_cannot_change(spark: SparkSession) -> None:
    have = spark.conf.get("spark.driver.memory")
    assert session(conf={"spark.driver.memory": have}) is spark
    with pytest.raises(EnvironmentProblem, match=f"has '{have}' for spark.driver.memory"):
        session(conf={"spark.driver.memory": "7g"})


def test_measures_count_what_ran_inside_only(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(500).collect()
    with measure_jobs(spark) as measuring:
        spark.range(0, 1000, 1, 2).write.parquet(str(tmp_path / "rows"))
        spark.read.parquet(str(tmp_path / "rows")).groupBy("id").count().collect()
    found = measuring.result
    # Spark counts the rows that `range` gives as read.
    assert (found.rows_written, found.rows_read, found.failed_tasks) == (1000, 2000, 0)
    assert found.shuffle_write_bytes > 0
    assert found.run_ms > 0
    assert found.wall_s > 0


def test_a_session_that_runs_already_is_joined_and_goes_on(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", JOINED], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["UTC 5 local[1]", "False 3"], done.stderr
    assert (tmp_path / "out").is_dir()
