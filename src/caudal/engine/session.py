"""One Spark session per process: started on demand, quiet, and cleaned up at its end."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine import cds, settings
from caudal.engine.connectors import jars
from caudal.engine.java import JavaHome, java_home
from caudal.engine.jvm import Jvm, brief_options, common_options, join_options, spark_environment, start_error, start_java
from caudal.errors import EnvironmentProblem
from caudal.extras import require_spark
from caudal.secret import is_secret_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_HADOOP = "spark.hadoop."
_YARN_PLACES = ("HADOOP_CONF_DIR", "YARN_CONF_DIR")


@dataclass(frozen=True)
class SessionPlan:
    """Everything that decides how a session starts."""

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
    plan: SessionPlan | None
    """None of a session that was joined: it has whatever connectors its cluster has, and is not caudal's to end."""
    folder: Path | None


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
    """Return the Spark session of this process; start it if there is none.

    Parameters
    ----------
    connectors : names in `caudal.engine.connectors.CONNECTORS`, Maven coordinates or paths of jars
    master : str, optional, a cluster's address such as ``spark://host:7077``; from ``CAUDAL_MASTER`` or this process when left out
    cores : int, optional, tasks at once; all cores when left out
    memory : str, optional, the driver's heap such as ``4g``; from ``CAUDAL_MEMORY`` or the machine when left out
    conf : Spark settings that override caudal's; in a running session, only those that can change while it runs
    app : str, the name that a cluster shows
    brief : bool, whether there is so little to do that optimizing compilation would not pay

    Raises
    ------
    EnvironmentProblem
        when no Java fits, a connector cannot be fetched, or the running session lacks one of ``connectors`` or a setting
    """
    if has_died():
        stop(wait_s=1)
    if is_running() and _running:
        lacking = connectors - _running.plan.connectors if _running.plan is not None else frozenset()
        if lacking:
            raise EnvironmentProblem(
                f"The Spark session that runs was started without {', '.join(sorted(lacking))}.",
                fix="Call caudal.engine.stop() first, or name all connectors when the session starts.",
                lacking=", ".join(sorted(lacking)),
            )
        for name, value in (conf or {}).items():
            _set(_running.spark, name, value)
        return _running.spark
    chosen = plan_session(connectors=connectors, master=master, cores=cores, memory=memory, conf=conf, app=app, brief=brief)
    spark = start(chosen, cds.use(chosen.java, chosen.archive))
    atexit.unregister(_at_exit)
    atexit.register(_at_exit, chosen)
    return spark


def _set(spark: SparkSession, name: str, value: str) -> None:
    from pyspark.errors import AnalysisException

    joined = _running is not None and _running.plan is None
    if name.startswith(_HADOOP) and (joined or is_secret_name(name)):
        spark.sparkContext._jsc.hadoopConfiguration().set(name.removeprefix(_HADOOP), value)
        return
    if joined and name.endswith(("Class", ".class")) and not _has_class(spark, value):
        return  # a connector's own, which the cluster has other means for
    current = spark.conf.get(name, None)
    if current == value:
        return
    try:
        spark.conf.set(name, value)
    except AnalysisException:
        raise EnvironmentProblem(
            f"The Spark session that runs has '{current}' for {name}, and it cannot change while it runs.",
            fix="Call caudal.engine.stop() first, or leave the setting as it is.",
            setting=name,
        ) from None


def _has_class(spark: SparkSession, name: str) -> bool:
    from py4j.protocol import Py4JJavaError

    jvm = spark.sparkContext._jvm
    assert jvm is not None
    try:
        jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(name)
    except Py4JJavaError:
        return False
    return True


def join(spark: SparkSession) -> None:
    """Let a session that runs already, such as that of a cluster's driver, be the session of this process; `stop` lets it go on.

    Of caudal's settings it gets those that can change while it runs; master, memory and connectors are its own.
    """
    global _running
    chosen = settings.session_settings(
        master=str(spark.sparkContext.master),
        cores=spark.sparkContext.defaultParallelism,
        memory="",
        class_path=(),
        folder=Path.cwd(),
    )
    # A path without a scheme is one of this machine, wherever a cluster looks for such.
    chosen |= {"spark.hadoop.fs.defaultFS": "file:///", "fs.defaultFS": "file:///"}
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    for name, value in chosen.items():
        if name.startswith(_HADOOP):
            hadoop.set(name.removeprefix(_HADOOP), value)
        elif name.startswith("fs.") or (name.startswith("spark.sql.") and spark.conf.isModifiable(name)):
            spark.conf.set(name, value)
    _without_checksum_files(spark)
    _running = _Running(spark, None, None)


def start_description() -> str | None:
    """Return a description of what the start of a session involves; None if one runs already."""
    if is_running():
        return None
    try:
        java = java_home()
    except EnvironmentProblem:  # reported when it is started
        return None
    if cds.enabled() and not cds.archive_file(java).is_file():
        return "Java and Spark are started; later runs do so in half the time, by an archive that is made after this one"
    return "Java and Spark are started"


def archive_classes(say: Callable[[str], None], *, on_cluster: bool = False) -> None:
    """Have the archive of Spark's classes made now where it is missing, so that every later session starts alike.

    Parameters
    ----------
    say : hears that it is made
    on_cluster : whether that is needed which clusters' drivers use, and clusters that caudal starts
    """
    try:
        archive = cds.archive_file(java_home(on_cluster=on_cluster))
    except EnvironmentProblem:  # no Java or no Spark, which is reported when a session is started
        return
    if cds.wanted(archive):
        say("Spark's classes are archived, once for each Java")
    cds.dump_now(archive, *(["--on-cluster"] if on_cluster else []))


def is_running() -> bool:
    """Return whether this process has a Spark session."""
    return _running is not None and _running.spark.sparkContext._jsc is not None


def has_died(*, within_s: float = 0.0) -> bool:
    """Return whether the session's Java process has ended by itself, or does so within ``within_s``."""
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
    """End the session and its Java process, and remove its files; do nothing if there is none."""
    global _running
    if _running is None:
        return
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    stopped, _running = _running, None
    if stopped.folder is None:
        return
    gateway = SparkContext._gateway
    # This fails only if Java has died before; the folder must be removed anyway.
    with contextlib.suppress(Exception):
        stopped.spark.stop()
    if gateway is not None:
        with contextlib.suppress(Exception):
            Jvm(gateway).close_jvm(wait_s=wait_s)
        # Cleared, so that the next session starts a Java process with its own class path.
        SparkContext._gateway = SparkContext._jvm = None
    # If Java had died, the session could not reset these itself.
    SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = None
    shutil.rmtree(stopped.folder, ignore_errors=True)


def plan_session(
    *,
    connectors: frozenset[str] = frozenset(),
    master: str | None = None,
    cores: int | None = None,
    memory: str | None = None,
    conf: Mapping[str, str] | None = None,
    app: str = "caudal",
    brief: bool = False,
) -> SessionPlan:
    """Decide how a session starts; fetch connectors that are not in the cache."""
    require_spark("The engine 'spark'")
    connector_jars = tuple(jars(connectors)) if connectors else ()
    chosen = (conf or {}).get("spark.master") or master or os.environ.get("CAUDAL_MASTER") or f"local[{cores or '*'}]"
    if chosen == "yarn" and not any(os.environ.get(name) for name in _YARN_PLACES):
        raise EnvironmentProblem(
            f"The master is 'yarn', and none of the variables {' and '.join(_YARN_PLACES)} says where YARN is.",
            fix="Set one to the folder with yarn-site.xml.",
        )
    java = java_home(on_cluster=not settings.is_local(chosen))
    return SessionPlan(
        app=app,
        master=chosen,
        cores=cores or settings.usable_cores(),
        memory=memory or os.environ.get("CAUDAL_MEMORY") or settings.default_memory(),
        connectors=connectors,
        class_path=connector_jars,
        conf=dict(conf or {}),
        java=java,
        archive=cds.archive_file(java),
        brief=brief,
    )


def start(chosen: SessionPlan, java_options: Sequence[str]) -> SparkSession:
    """Start the session described by ``chosen``, with further options for its Java process."""
    global _running
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    folder = Path(tempfile.mkdtemp(prefix="caudal-spark-"))
    brief = brief_options() if chosen.brief else []
    options = [*brief, *common_options(chosen.java), settings.UTC, f"-Dderby.system.home={folder}", *java_options]
    conf = settings.session_settings(
        master=chosen.master, cores=chosen.cores, memory=chosen.memory, class_path=chosen.class_path, folder=folder
    )
    conf |= {"spark.driver.extraJavaOptions": join_options(options)} | dict(chosen.conf)
    conf = {"spark.app.name": chosen.app, "spark.master": chosen.master} | conf
    # The settings appear in the arguments of the Java process, which all users of the machine can read.
    secret = {name: value for name, value in conf.items() if name.startswith(_HADOOP) and is_secret_name(name)}
    open_settings = {name: value for name, value in conf.items() if name not in secret}
    # pandas-on-Spark, used inside a table function, needs it here and in the workers, which inherit it from this process.
    os.environ.setdefault("PYARROW_IGNORE_TIMEZONE", "1")
    try:
        standalone = chosen.master.startswith("spark://")
        with spark_environment(chosen.java, local=chosen.local, standalone=standalone, class_path=chosen.class_path):
            start_java(open_settings)
            spark = SparkSession.builder.config(map={**open_settings}).getOrCreate()
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, PySparkRuntimeError):
            raise start_error(chosen.java, error) from error
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
    """Let Java remove the folder when it ends, because a killed Python process cannot."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    jvm.org.apache.spark.util.ShutdownHookManager.registerShutdownDeleteDir(jvm.java.io.File(str(folder)))


def _without_checksum_files(spark: SparkSession) -> None:
    """Stop Hadoop from writing a ``.crc`` file next to each local file: Parquet has its own checksums, and commits name files."""
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    jvm.org.apache.hadoop.fs.FileSystem.getLocal(hadoop).setWriteChecksum(False)


def _at_exit(chosen: SessionPlan) -> None:
    """Stop the session, then start making the archive that it lacked."""
    stop()
    if chosen.local and cds.wanted(chosen.archive):
        cds.dump_later()
