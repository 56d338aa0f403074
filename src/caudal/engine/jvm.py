"""The Java process of a session: its environment, start and end."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine import trust
from caudal.engine.java import PYSPARK_INSTALLED, JavaHome, java_home
from caudal.errors import EnvironmentProblem
from caudal.extras import require_spark, spark_missing

if TYPE_CHECKING:
    from py4j.java_gateway import JavaGateway, JVMView


@dataclass(frozen=True)
class Jvm:
    """A running Java process; ``gateway`` is py4j's."""

    gateway: JavaGateway

    @property
    def jvm(self) -> JVMView:
        """Its classes, through py4j."""
        return self.gateway.jvm

    def close_jvm(self, *, wait_s: float = 60) -> None:
        """End the process and wait for it, so that its exit hooks have run."""
        process = self.gateway.proc
        self.gateway.shutdown()
        if process is None:
            return
        process.stdin.close()  # It exits at the end of its input.
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def launch(conf: Mapping[str, str], **popen: object) -> Jvm:
    """Start a Java process that has Spark's classes but no session."""
    require_spark("Fetching connectors")
    from pyspark import SparkConf
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    java = java_home()
    settings = SparkConf(loadDefaults=False)
    settings.set("spark.driver.extraJavaOptions", join_options(common_options(java)))
    settings.setAll(list(conf.items()))
    with spark_environment(java):
        try:
            return Jvm(launch_gateway(settings, popen))  # type: ignore[no-untyped-call]
        except PySparkRuntimeError as error:
            raise start_error(java, error) from error


def start_java(conf: Mapping[str, str]) -> None:
    """Start the Java process of the session that PySpark makes next, unless there is one.

    It has a process group of its own. A signal to the group of this process, as a terminal, ``timeout`` and service managers send it, would
    otherwise end Java first, under the work that is about to be stopped in order. Java ends at the end of its input, which is this process's.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    if SparkContext._gateway is None:
        settings = SparkConf(loadDefaults=False).setAll(list(conf.items()))
        SparkContext._gateway = launch_gateway(settings, {"process_group": 0})  # type: ignore[no-untyped-call]
        SparkContext._jvm = SparkContext._gateway.jvm


# For processes of seconds: Java compiles quickly and not thoroughly. Where it stops at this level it keeps 48 MB for compiled code, which some hours of queries
# fill; then the compiler stops, and Java soon after ("Out of space in CodeCache for adapters"). Space is taken only as it is used.
BRIEF_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=192m", "-XX:+UseSerialGC")
_COLLECTOR = re.compile(r"-XX:\+Use\w+GC")


def brief_options() -> list[str]:
    """Return `BRIEF_OPTIONS`, without the garbage collector where the user's options choose one: Java refuses two."""
    chosen = any(_COLLECTOR.fullmatch(option) for option in user_options())
    return [option for option in BRIEF_OPTIONS if not (chosen and _COLLECTOR.fullmatch(option))]


def common_options(java: JavaHome) -> list[str]:
    """Return the options of every Java process of caudal; ``CAUDAL_JAVA_OPTIONS`` come last, so they win."""
    options = [f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}"]
    store = trust.trust_store() if java.origin == "bundled" else None
    if store:
        options += [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStoreType=JKS"]
    return options + user_options()


def user_options() -> list[str]:
    """Return the user's Java options."""
    return shlex.split(os.environ.get("CAUDAL_JAVA_OPTIONS", ""))


def spark_home() -> Path:
    """Return the folder of the installed PySpark, without importing it."""
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise spark_missing("Spark")
    return Path(spec.origin).parent


def spark_class_path() -> str:
    """Return the class path that Spark's scripts give each of its processes; the launcher writes it out (`caudal.engine.java`)."""
    jars = spark_home() / "jars"
    entries = [os.environ.get("SPARK_CONF_DIR") or spark_home() / "conf", *sorted(jars.glob("slf4j-api-*.jar")), jars / "*"]
    return os.pathsep.join(map(str, entries))


def join_options(options: list[str]) -> str:
    """Return Java options as the single string that Spark splits again.

    Examples
    --------
    >>> join_options(["-Da=1", "-Db=x y"])
    '-Da=1 "-Db=x y"'
    """
    return " ".join(f'"{option}"' if " " in option else option for option in options)


@contextlib.contextmanager
def spark_environment(
    java: JavaHome, *, local: bool = True, standalone: bool = False, class_path: Sequence[Path] = ()
) -> Iterator[None]:
    """Set the environment variables that Spark reads while it starts, and restore them afterwards.

    A local session ignores a user's ``SPARK_HOME``, whose version may not fit. Jars of
    ``class_path`` come after Spark's own there, so that one class-data archive fits them all: Java requires that the class path
    begins as it did when the archive was made.
    """
    variables = {
        "JAVA_HOME": str(java.path),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        # The launcher is a second, short-lived Java: let it compile little.
        "SPARK_LAUNCHER_OPTS": "-XX:TieredStopAtLevel=1 -Xshare:auto",
    }
    if local or (standalone and os.environ.get("SPARK_HOME") in (None, str(spark_home()))):
        variables[PYSPARK_INSTALLED] = "yes"
    if local:
        variables["SPARK_HOME"] = str(spark_home())
        variables["SPARK_LOCAL_IP"] = "127.0.0.1"
        variables["SPARK_DIST_CLASSPATH"] = os.pathsep.join(map(str, class_path))
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def start_error(java: JavaHome, error: Exception) -> EnvironmentProblem:
    """Return the error for a Java process that ended before it answered."""
    own = "Check CAUDAL_JAVA_OPTIONS, or try" if user_options() else "Try"
    return EnvironmentProblem(
        f"Spark's Java process did not start with Java {java.version} ({java.origin}): {error}",
        fix=f"Its own message is above. {own} CAUDAL_JAVA=bundled, or less memory with CAUDAL_MEMORY=1g.",
        java=str(java.runtime),
    )
