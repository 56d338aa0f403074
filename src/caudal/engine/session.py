"""One Spark session a process: started when it is first asked for, quiet, and cleaned away when it ends."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine import cds, connectors as known, settings
from caudal.engine.java import JavaHome, java_home
from caudal.engine.jvm import Jvm, common_options, environment, joined, not_started
from caudal.errors import EnvironmentProblem
from caudal.secret import is_secret_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_HADOOP = "spark.hadoop."


@dataclass(frozen=True)
class Plan:
    """All that decides how a session starts."""

    app: str
    master: str
    cores: int
    memory: str
    connectors: frozenset[str]
    class_path: tuple[Path, ...]
    conf: Mapping[str, str]
    java: JavaHome
    archive: Path
    brief: bool = False

    @property
    def local(self) -> bool:
        """Whether driver and executor are one process on this machine."""
        return settings.is_local(self.master)


@dataclass(frozen=True)
class _Running:
    spark: SparkSession
    plan: Plan
    folder: Path


_running: _Running | None = None


def session(
    *,
    connectors: frozenset[str] = frozenset(),
    master: str | None = None,
    cores: int | None = None,
    memory: str | None = None,
    conf: Mapping[str, str] | None = None,
    app: str = "caudal",
    brief: bool = False,
) -> SparkSession:
    """Return the Spark session of this process, started when there is none.

    Parameters
    ----------
    connectors : names from `caudal.engine.connectors.CONNECTORS`, Maven coordinates or paths of jars
    master : str, optional, a cluster's address such as ``spark://host:7077``; from ``CAUDAL_MASTER`` or this process when left out
    cores : int, optional, tasks at once; all cores when left out
    memory : str, optional, the driver's heap such as ``4g``; from ``CAUDAL_MEMORY`` or the machine when left out
    conf : Spark settings that win over ours; on a session that runs, those that can change while it runs
    app : str, the name that a cluster shows
    brief : bool, whether there is so little to do that thorough compiling would cost Java more than it gives

    Raises
    ------
    EnvironmentProblem
        when no Java fits, a connector cannot be fetched, or the session that runs lacks one of ``connectors`` or a setting
    """
    if has_died():
        stop(wait_s=1)
    if is_running() and _running:
        lacking = connectors - _running.plan.connectors
        if lacking:
            raise EnvironmentProblem(
                f"The Spark session that runs was started without {', '.join(sorted(lacking))}.",
                fix="Call caudal.engine.stop() first, or name all connectors when the session starts.",
                lacking=", ".join(sorted(lacking)),
            )
        for name, value in (conf or {}).items():
            _set(_running.spark, name, value)
        return _running.spark
    chosen = plan(connectors=connectors, master=master, cores=cores, memory=memory, conf=conf, app=app, brief=brief)
    spark = start(chosen, cds.use(chosen.java, chosen.archive) if chosen.local else [])
    atexit.unregister(_at_exit)
    atexit.register(_at_exit, chosen)
    return spark


def _set(spark: SparkSession, name: str, value: str) -> None:
    from pyspark.errors import AnalysisException

    if name.startswith(_HADOOP) and is_secret_name(name):
        spark.sparkContext._jsc.hadoopConfiguration().set(name.removeprefix(_HADOOP), value)
        return
    have = spark.conf.get(name, None)
    if have == value:
        return
    try:
        spark.conf.set(name, value)
    except AnalysisException:
        raise EnvironmentProblem(
            f"The Spark session that runs has '{have}' for {name}, and it cannot change while it runs.",
            fix="Call caudal.engine.stop() first, or leave the setting as it is.",
            setting=name,
        ) from None


def beginning() -> str | None:
    """Return what whoever asks for a session will wait for, in words; None where one runs already."""
    if is_running():
        return None
    try:
        java = java_home()
    except EnvironmentProblem:  # told when it is started
        return None
    if cds.enabled() and not cds.archive_file(java).is_file():
        return "Java and Spark are started; later runs do so in half the time, by an archive that is made after this one"
    return "Java and Spark are started"


def is_running() -> bool:
    """Whether this process has a Spark session."""
    return _running is not None and _running.spark.sparkContext._jsc is not None


def has_died(*, within_s: float = 0.0) -> bool:
    """Return whether the Java process of this process's session has ended by itself, or does so in a moment."""
    if _running is None:
        return False
    from pyspark import SparkContext

    process = getattr(SparkContext._gateway, "proc", None)
    if process is None:
        return False
    until = time.monotonic() + within_s
    while process.poll() is None:
        if time.monotonic() >= until:
            return False
        time.sleep(0.05)
    return True


def stop(*, wait_s: float = 60) -> None:
    """End the session and its Java process, and remove what it kept on disk; nothing happens when there is none."""
    global _running
    if _running is None:
        return
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    ended, _running = _running, None
    gateway = SparkContext._gateway
    # What fails here is Java having died before; the folder must go all the same.
    with contextlib.suppress(Exception):
        ended.spark.stop()
    if gateway is not None:
        with contextlib.suppress(Exception):
            Jvm(gateway).close_jvm(wait_s=wait_s)
        # Cleared, so that the next session starts a Java process with its own class path.
        SparkContext._gateway = SparkContext._jvm = None
    # Where Java had died, its session has not been able to say that it has ended.
    SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = None
    shutil.rmtree(ended.folder, ignore_errors=True)


def plan(
    *,
    connectors: frozenset[str] = frozenset(),
    master: str | None = None,
    cores: int | None = None,
    memory: str | None = None,
    conf: Mapping[str, str] | None = None,
    app: str = "caudal",
    brief: bool = False,
) -> Plan:
    """Decide how a session starts; connectors that are not in the cache are fetched."""
    java = java_home()
    jars = tuple(known.jars(connectors)) if connectors else ()
    return Plan(
        app=app,
        master=(conf or {}).get("spark.master") or master or os.environ.get("CAUDAL_MASTER") or f"local[{cores or '*'}]",
        cores=cores or settings.usable_cores(),
        memory=memory or os.environ.get("CAUDAL_MEMORY") or settings.default_memory(),
        connectors=connectors,
        class_path=jars,
        conf=dict(conf or {}),
        java=java,
        archive=cds.archive_file(java),
        brief=brief,
    )


def start(chosen: Plan, java_options: Sequence[str]) -> SparkSession:
    """Start the session that ``chosen`` describes, with further options for its Java process."""
    global _running
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    folder = Path(tempfile.mkdtemp(prefix="caudal-spark-"))
    brief = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"] if chosen.brief else []
    options = [*brief, *common_options(chosen.java), settings.UTC, f"-Dderby.system.home={folder}", *java_options]
    conf = settings.settings(
        master=chosen.master, cores=chosen.cores, memory=chosen.memory, class_path=chosen.class_path, folder=folder
    )
    conf |= {"spark.driver.extraJavaOptions": joined(options)} | dict(chosen.conf)
    builder = SparkSession.builder.appName(chosen.app).master(chosen.master)
    # What the builder is given stands in the arguments of the Java process, for all users of the machine to read.
    secret = {name: value for name, value in conf.items() if name.startswith(_HADOOP) and is_secret_name(name)}
    for name, value in conf.items():
        if name not in secret:
            builder = builder.config(name, value)
    # pandas-on-Spark, used inside a table function, wants it here and in the workers, which take it over from this process.
    os.environ.setdefault("PYARROW_IGNORE_TIMEZONE", "1")
    try:
        with environment(chosen.java, local=chosen.local, class_path=chosen.class_path):
            spark = builder.getOrCreate()
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, PySparkRuntimeError):
            raise not_started(chosen.java, error) from error
        raise
    _remove_at_exit(spark, folder)
    for name, value in secret.items():
        spark.sparkContext._jsc.hadoopConfiguration().set(name.removeprefix(_HADOOP), value)
    _without_checksum_files(spark)
    # PySpark writes each failed query to the terminal as JSON; the exception says the same.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    _running = _Running(spark, chosen, folder)
    return spark


def _remove_at_exit(spark: SparkSession, folder: Path) -> None:
    """Let Java remove the folder when it ends, for a Python that is killed cannot."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    jvm.org.apache.spark.util.ShutdownHookManager.registerShutdownDeleteDir(jvm.java.io.File(str(folder)))


def _without_checksum_files(spark: SparkSession) -> None:
    """Let Hadoop write no ``.crc`` file beside each file of a local folder: Parquet has checksums of its own, and commits name files."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    jvm.org.apache.hadoop.fs.FileSystem.getLocal(hadoop).setWriteChecksum(False)


def _at_exit(chosen: Plan) -> None:
    """Stop, then have the archive made that this session had to do without."""
    stop()
    if chosen.local and cds.wanted(chosen.archive):
        cds.dump_later()
