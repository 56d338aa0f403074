"""What each engine is declared to lack is refused there, and what it is declared to do works."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import Observation, functions as F
from pyspark.sql.types import LongType, StructField, StructType

from caudal.declarations.settings import Settings, settings
from caudal.engine.capability import Capability
from caudal.engine.choice import can, engines, sail, session_engine
from caudal.engine.classic import CLASSIC
from caudal.engine.connect import ConnectEngine, query_over
from caudal.engine.files import literal_path, parquet_frame
from caudal.engine.mode import speaks_connect
from caudal.engine.protocol import SessionRequest, require_capability
from caudal.engine.sail.engine import SailEngine
from caudal.errors import DeclarationProblem, EngineLacks, EnvironmentProblem

Try = Callable[[Any, Path], object]


def observed(spark: Any, _: Path) -> bool:
    observation = Observation()
    spark.range(3).observe(observation, F.count(F.lit(1)).alias("n")).collect()
    return observation.get["n"] == 3


def file_named(spark: Any, folder: Path) -> bool:
    pq.write_table(pa.table({"a": [1]}), folder / "x.parquet")
    row = spark.read.parquet(str(folder / "x.parquet")).select("_metadata.file_name").collect()[0]
    return row[0] == "x.parquet"


def corrupt_kept(spark: Any, folder: Path) -> bool:
    (folder / "x.csv").write_text("1,2\n3\n")
    reader = spark.read.schema("a string, b string, _line string").options(mode="PERMISSIVE", columnNameOfCorruptRecord="_line")
    return [row["_line"] for row in reader.csv(str(folder / "x.csv")).collect()] == [None, "3"]


def json_schema(spark: Any, folder: Path) -> bool:
    pq.write_table(pa.table({"a": [1]}), folder / "x.parquet")
    schema = StructType([StructField("a", LongType(), True, {"m": 1})])
    return spark.read.schema(schema).parquet(str(folder / "x.parquet")).schema["a"].metadata == {"m": 1}


def literal(spark: Any, folder: Path) -> bool:
    odd = folder / "[x] {y}"
    odd.mkdir()
    pq.write_table(pa.table({"a": [1]}), odd / "x.parquet")
    return spark.read.option("__globPaths__", "false").schema("a bigint").parquet(str(odd / "x.parquet")).count() == 1


def null_folder(spark: Any, folder: Path) -> bool:
    rows = spark.createDataFrame([("", 1), (None, 2)], "p string, a int")
    rows.write.partitionBy("p").parquet(str(folder / "out"))
    return {row["p"] for row in spark.read.parquet(str(folder / "out")).collect()} == {None} and any(
        "__HIVE_DEFAULT_PARTITION__" in str(path) for path in (folder / "out").rglob("*.parquet")
    )


def wall_time_as_json(spark: Any, _: Path) -> bool:
    frame = spark.sql("SELECT to_json(struct(timestamp_ntz'2024-01-01 10:00:00' AS t))")
    return frame.collect()[0][0] == '{"t":"2024-01-01T10:00:00.000"}'


def parsed_as_java(spark: Any, _: Path) -> bool:
    return bool(spark.sql(r"SELECT '2024-01-01x' RLIKE '[0-9]{2}(?![0-9])'").collect()[0][0])


def marks_dropped(spark: Any, _: Path) -> bool:
    frame = spark.sql("SELECT timestamp_ntz'2024-01-01 10:00:00' AS t").withMetadata("t", {"m": 1})
    return frame.select(F.to_date("t").alias("d")).schema["d"].metadata == {}


def view_dropped(spark: Any, _: Path) -> bool:
    spark.range(2).createOrReplaceTempView("dropped")
    frame = spark.sql("SELECT * FROM dropped")
    spark.catalog.dropTempView("dropped")
    return frame.count() == 2


def shared(spark: Any, _: Path) -> bool:
    return spark.sparkContext.broadcast(1).value == 1


def rdd(spark: Any, _: Path) -> bool:
    return spark.range(2).rdd.count() == 2


def plan(spark: Any, _: Path) -> bool:
    return "Range" in spark.range(2)._jdf.queryExecution().analyzed().toJSON()


def own_function(spark: Any, _: Path) -> bool:
    return spark.range(3).mapInArrow(lambda batches: batches, "id bigint").count() == 3


def stored_types(spark: Any, folder: Path) -> bool:
    pq.write_table(pa.table({"a": pa.array(["x"]).dictionary_encode()}), folder / "x.parquet")
    return spark.read.schema("a string").parquet(str(folder / "x.parquet")).collect()[0][0] == "x"


TRIES: dict[Capability, Try] = {
    Capability.OBSERVE: observed, Capability.FILE_NAMES: file_named, Capability.CORRUPT_RECORDS: corrupt_kept,
    Capability.JSON_SCHEMA: json_schema, Capability.LITERAL_PATHS: literal, Capability.PARQUET_WRITER: null_folder,
    Capability.TO_JSON: wall_time_as_json, Capability.TEXT_PARSING: parsed_as_java, Capability.METADATA: marks_dropped,
    Capability.TEMPORARY_VIEWS: view_dropped, Capability.SHARED_VARIABLES: shared, Capability.RDD: rdd,
    Capability.ANALYSED_PLAN: plan, Capability.PARQUET_TYPES: stored_types, Capability.LOCAL_WORKERS: own_function,
}  # fmt: skip
"""One call for each capability, of those that a call shows. It returns True where the engine has it."""


def shows(tried: Try, spark: Any, folder: Path) -> bool:
    try:
        return bool(tried(spark, folder))
    except Exception:  # noqa: BLE001 (what an engine cannot do it refuses in many ways)
        return False


@pytest.mark.parametrize("capability", TRIES)
def test_spark_has_every_capability(spark: Any, tmp_path: Path, capability: Capability) -> None:
    assert can(spark, capability)
    assert shows(TRIES[capability], spark, tmp_path)


@pytest.mark.parametrize("capability", TRIES)
def test_sail_has_what_it_is_declared_to_have_and_nothing_else(on_sail: Any, tmp_path: Path, capability: Capability) -> None:
    assert shows(TRIES[capability], on_sail, tmp_path) == can(on_sail, capability), (
        f"{sail().title} has changed: see caudal.engine.sail.engine.LACKS"
    )


@pytest.mark.slow
def test_a_server_of_spark_has_what_it_is_declared_to_have(connect_address: str, tmp_path: Path) -> None:
    engine = ConnectEngine(connect_address)
    with engine.speaking():
        session = engine.session(SessionRequest())
        for capability, tried in TRIES.items():
            (tmp_path / capability.name).mkdir()
            assert shows(tried, session, tmp_path / capability.name) == can(session, capability), capability
        read_odd_names(session, tmp_path)
    engine.stop()


def test_every_reason_ends_a_sentence(on_sail: Any) -> None:
    for capability, reason in session_engine(on_sail).lacks.items():
        assert reason, capability
        assert not reason.endswith("."), capability
    with pytest.raises(
        EngineLacks, match=r"A test needs counting rows while they are written, which Sail [\d.]+ lacks: it does not"
    ):
        require_capability(sail(), Capability.OBSERVE, "A test")


@pytest.mark.slow
def test_a_session_that_the_server_has_forgotten_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caudal.engine.sail.engine.IDLE_S", 1)
    engine = SailEngine()
    with engine.speaking():
        forgotten = engine.session(SessionRequest(cores=1))
        assert engine.session(SessionRequest(cores=1)) is forgotten
        for _ in range(20):  # a question itself makes it wait anew
            time.sleep(3)
            if not shows(lambda spark, _: spark.range(3).count() == 3, forgotten, Path()):
                break
        assert not shows(lambda spark, _: spark.range(3).count() == 3, forgotten, Path())
        assert engine.session(SessionRequest(cores=1)).range(3).count() == 3
    engine.stop()


def test_a_session_that_is_collected_within_a_query_of_another_does_not_wait_for_it(on_sail: Any) -> None:
    from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator as Results

    assert on_sail.range(3).count() == 3
    engine = SailEngine()
    with engine.speaking():
        left = engine.session(SessionRequest(cores=1))
        assert left.range(2).count() == 2
        threads = Results._get_or_create_release_thread_pool()
        with threads._shutdown_lock:  # as while a thread is begun
            left.__del__()
    engine.stop()
    assert on_sail.range(3).count() == 3


def test_a_query_finds_its_frames_without_views(on_sail: Any) -> None:
    frame = query_over(on_sail, "SELECT count(*) AS n FROM t WHERE id > 0", {"t": on_sail.range(3)})
    assert frame.collect()[0]["n"] == 2


def test_files_of_any_name_are_read(on_sail: Any, tmp_path: Path) -> None:
    read_odd_names(on_sail, tmp_path)
    assert literal_path(on_sail, "/a [b]") == "file:///a%20%5Bb%5D"


def read_odd_names(spark: Any, tmp_path: Path) -> None:
    schema = StructType([StructField("a b", LongType(), True, {"m": 1})])
    paths = []
    for name in ("[x]", "{y}", "a*b", "50%20", "ä #1", "back\\slash"):
        folder = tmp_path / name
        folder.mkdir()
        paths.append(str(folder / "x.parquet"))
        pq.write_table(pa.table({"a b": [1]}), paths[-1])
    frame = parquet_frame(spark, paths, schema)
    assert frame.count() == len(paths)
    assert frame.schema["a b"].metadata == {"m": 1}


def test_both_kinds_of_sessions_take_turns(spark: Any, sail_server: Any) -> None:
    assert spark.range(3).where(F.col("id") > 0).count() == 2
    with sail().speaking():
        assert speaks_connect()
        assert sail_server.range(3).where(F.col("id") > 0).count() == 2
        with CLASSIC.speaking():
            assert spark.range(3).where(F.col("id") > 0).count() == 2
    assert not speaks_connect()
    assert spark.range(3).where(F.col("id") > 0).count() == 2


def test_a_server_that_died_is_started_again() -> None:
    from caudal.engine.sail.engine import SailEngine

    engine = SailEngine()
    with engine.speaking():
        session = engine.session(SessionRequest(cores=1))
        assert session.range(3).count() == 3
        assert engine._process is not None
        engine._process.kill()
        assert engine.has_died(within_s=10)
        with pytest.raises(Exception, match=r"UNAVAILABLE|failed to connect|Socket closed|Connection"):
            session.range(3).count()
        assert engine.session(SessionRequest(cores=1)).range(3).count() == 3
    engine.stop()
    assert engine._process is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux chooses a process to end where memory runs out")
def test_where_memory_runs_out_the_server_ends_first(sail_server: Any) -> None:
    engine = sail()
    assert isinstance(engine, SailEngine)
    assert engine._process is not None
    assert int(Path(f"/proc/{engine._process.pid}/oom_score_adj").read_text()) > int(Path("/proc/self/oom_score_adj").read_text())


def test_a_server_is_started_ahead_and_once() -> None:
    engine = SailEngine()
    engine.start_ahead(1)
    ahead = engine._process
    assert ahead is not None
    engine.start_ahead(1)
    with engine.speaking():
        assert engine.session(SessionRequest(cores=1)).range(3).count() == 3
    assert engine._process is ahead
    engine.start_ahead(1)
    assert engine._process is ahead
    engine.stop()
    assert ahead.poll() is not None
    engine.start_ahead(1)  # and one that is not asked for anything ends too
    unused = engine._process
    engine.stop()
    assert unused is not None
    assert unused.poll() is not None


def test_a_server_that_is_not_there_is_said() -> None:
    engine = ConnectEngine("sc://127.0.0.1:1")
    with pytest.raises(EnvironmentProblem, match=r"No Spark Connect server answers at sc://127.0.0.1:1"):
        engine.session(SessionRequest())
    assert not ConnectEngine("sc://spark.example.org:15002").can(Capability.LOCAL_FILES)
    assert ConnectEngine("sc://spark.example.org:15002/;token=t0ps3cretword").name == "sc://spark.example.org:15002"
    assert "t0ps3cretword" not in repr(Settings(engine="sc://spark.example.org:15002/;token=t0ps3cretword"))


def test_the_setting_names_the_engines_in_order(tmp_path: Path) -> None:
    assert [engine.name for engine in engines("auto")] == ["sail", "spark"]
    assert [engine.name for engine in engines("sc://host:1")] == ["sc://host:1"]
    assert settings(tmp_path, {}).engine == "auto"
    assert settings(tmp_path, {"CAUDAL_ENGINE": "spark"}).engine == "spark"
    assert settings(tmp_path, {"CAUDAL_ENGINE": "spark"}, engine="sail").engine == "sail"
    with pytest.raises(DeclarationProblem, match="Did you mean 'sail'"):
        settings(tmp_path, {"CAUDAL_ENGINE": "sial"})
    assert "SPARK_CONNECT_MODE_ENABLED" not in os.environ


def test_auto_is_spark_where_the_other_settings_speak_to_spark() -> None:
    assert engines("auto", master="spark://cluster:7077") == (CLASSIC,)
    assert engines("auto", conf={"spark.sql.ansi.enabled": "false"}) == (CLASSIC,)
    assert [engine.name for engine in engines("auto", master="local[2]", conf={"spark.ui.enabled": "true"})] == ["sail", "spark"]


@pytest.mark.parametrize("library", ["pysail", "grpc", "grpc_status", "google.rpc", "zstandard"])
def test_auto_is_spark_without_a_word_where_sail_is_not_installed(library: str) -> None:
    script = (
        f"import sys; from tests.without import block; block(['{library}']); from caudal.engine.choice import engines; "
        "assert [engine.name for engine in engines('auto')] == ['spark']; assert not {'pysail', 'grpc'} & {*sys.modules}"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


STARTING_WHILE_ASKING = """
import signal, subprocess, sys, threading
from caudal.engine.choice import sail
from caudal.engine.protocol import SessionRequest

engine, over = sail(), threading.Event()
with engine.speaking():
    session = engine.session(SessionRequest(cores=2))

    def ask():
        while not over.is_set():
            session.sql("SELECT 1").collect()

    asking = threading.Thread(target=ask)
    asking.start()
    started = [  # as PySpark starts Java
        subprocess.run(["true"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN), capture_output=True).returncode for _ in range(80)
    ]
    over.set()
    asking.join()
engine.stop()
sys.exit(str([code for code in started if code]) if any(started) else 0)
"""


@pytest.mark.slow
def test_a_process_can_be_started_while_a_server_is_asked() -> None:
    pytest.importorskip("pysail", reason="pip install 'caudal[sail]'")
    done = subprocess.run([sys.executable, "-c", STARTING_WHILE_ASKING], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
