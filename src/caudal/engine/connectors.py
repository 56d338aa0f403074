"""The jars that Spark needs in addition to its own, pinned only here.

They are resolved once by Spark's own resolver and kept in the user's cache, so that later starts need neither the network nor the
time of a resolution. ``CAUDAL_IVY_SETTINGS`` names an Ivy settings file, for a mirror. In addition to the names pinned
here, a user's Maven coordinates and paths of jars are connectors too, for example JDBC drivers.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine.cache import cache_dir, put_folder
from caudal.engine.jvm import launch, spark_home
from caudal.errors import EnvironmentProblem, NotThere, nearest

if TYPE_CHECKING:
    from py4j.java_gateway import JVMView

SCALA = "2.13"
SPARK = "4.1.1"
AWS_SDK = "2.29.52"
HADOOP = "3.4.2"


@dataclass(frozen=True)
class Group:
    """Coordinates that are resolved together, by default with their dependencies except ``excludes`` (``group:artifact``)."""

    coordinates: tuple[str, ...]
    excludes: tuple[str, ...] = ()
    transitive: bool = True


_KAFKA_TOKENS = f"org.apache.spark:spark-token-provider-kafka-0-10_{SCALA}"

CONNECTORS: dict[str, tuple[Group, ...]] = {
    "avro": (Group((f"org.apache.spark:spark-avro_{SCALA}:{SPARK}",)),),
    # Spark replaces commons-logging by a bridge; the real library would ignore our log settings.
    "delta": (Group((f"io.delta:delta-spark_4.1_{SCALA}:4.4.0",), excludes=("commons-logging:commons-logging",)),),
    "postgresql": (Group(("org.postgresql:postgresql:42.7.8",)),),
    # The token provider of 4.1.1 is not available everywhere; that of 4.0.0 fits, but must not pull in its older clients.
    "kafka": (
        Group((f"org.apache.spark:spark-sql-kafka-0-10_{SCALA}:{SPARK}",), excludes=(_KAFKA_TOKENS,)),
        Group((f"{_KAFKA_TOKENS}:4.0.0",), excludes=("org.apache.kafka:kafka-clients", "org.apache.hadoop:hadoop-client-runtime")),
    ),
    # The AWS bundle has 600 MB; S3A uses only these few modules of it.
    "s3": (
        Group((f"org.apache.hadoop:hadoop-aws:{HADOOP}",), excludes=("software.amazon.awssdk:bundle",)),
        Group((f"org.apache.spark:spark-hadoop-cloud_{SCALA}:{SPARK}",), transitive=False),
        Group(
            tuple(f"software.amazon.awssdk:{module}:{AWS_SDK}" for module in ("s3", "s3-transfer-manager", "sts")),
            excludes=("io.netty:*", "software.amazon.awssdk:netty-nio-client", "commons-logging:*"),
        ),
    ),
}

# Programs with a Java process of their own. They bring all dependencies, none of which may be on Spark's class path.
PROGRAMS: dict[str, tuple[Group, ...]] = {
    "broker": (Group((f"org.apache.kafka:kafka_{SCALA}:4.1.0",)),),
    # A name node and a data node, for tests; WebHDFS needs a library that Java included up to version 10.
    "hdfs": (Group((f"org.apache.hadoop:hadoop-client-minicluster:{HADOOP}",)), Group(("javax.xml.bind:jaxb-api:2.3.1",))),
}
# Taken from Spark's own jars: its resolver omits Scala's library, and the newer SLF4J needs a bridge to log4j.
_BORROWED = ("scala-library", "slf4j-api", "log4j-slf4j2-impl")


def program(name: str) -> list[Path]:
    """Return all jars of a program in ``PROGRAMS``.

    Raises
    ------
    EnvironmentProblem
        when a jar is not available; a failed resolution leaves nothing behind
    """
    if not cached_jars_folder(name).is_dir():
        _resolve([name])
    borrowed = [jar for jar in sorted((spark_home() / "jars").glob("*.jar")) if artifact(jar.name) in _BORROWED]
    return [
        *borrowed,
        *(jar for jar in sorted(cached_jars_folder(name).glob("*.jar")) if artifact(jar.name.split("_", 1)[-1]) not in _BORROWED),
    ]


def jars(names: Iterable[str]) -> list[Path]:
    """Return the jars of the connectors ``names``, in a fixed order and without those that Spark already has.

    Parameters
    ----------
    names : of ``CONNECTORS``, Maven coordinates (``group:artifact:version``), or paths of jars

    Raises
    ------
    NotThere
        when a name is not one of ``CONNECTORS``, or a jar does not exist
    EnvironmentProblem
        when a jar is not available; a failed resolution leaves nothing behind
    """
    user_jars = [name for name in sorted(set(names)) if is_jar(name)]
    # The user's names come first: they win if there are two versions of a driver.
    others = sorted({*names} - {*user_jars}, key=lambda name: (name in CONNECTORS, name))
    for name in others:
        if name not in CONNECTORS and not is_coordinates(name):
            raise NotThere(
                f"There is no connector '{name}'.",
                nearest=nearest(name, CONNECTORS),
                fix=f"Known: {', '.join(sorted(CONNECTORS))}; or give group:artifact:version, or the path of a jar.",
            )
    for name in user_jars:
        if not Path(name).is_file():
            raise NotThere(
                f"There is no jar '{name}'.", nearest=nearest(Path(name).name, _neighbours(Path(name))), fix="Check its path."
            )
    missing = [name for name in others if not cached_jars_folder(name).is_dir()]
    if missing:
        _resolve(missing)
    unique: dict[str, Path] = {name: Path(name) for name in user_jars}
    for name in others:
        for jar in sorted(cached_jars_folder(name).glob("*.jar")):
            unique.setdefault(artifact(jar.name.split("_", 1)[-1]), jar)
    return list(unique.values())


def is_coordinates(name: str) -> bool:
    """Return whether a connector is named by its Maven coordinates."""
    return re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+", name) is not None


def is_jar(name: str) -> bool:
    """Return whether a connector is a user's jar."""
    return name.endswith(".jar") and not is_coordinates(name)


def _neighbours(jar: Path) -> list[str]:
    return [path.name for path in jar.parent.glob("*.jar")] if jar.parent.is_dir() else []


def cached_jars_folder(name: str) -> Path:
    """Return the cache folder for the resolved jars of a connector."""
    pinned = hashlib.sha256(repr(_groups(name)).encode()).hexdigest()[:12]
    return cache_dir("connectors") / f"{name.split(':')[-2] if is_coordinates(name) else name}-{pinned}"


def _groups(name: str) -> tuple[Group, ...]:
    if is_coordinates(name):
        return (Group((name,)),)
    return CONNECTORS[name] if name in CONNECTORS else PROGRAMS[name]


def artifact(file_name: str) -> str:
    """Return a jar's name without its version.

    Examples
    --------
    >>> artifact("delta-spark_4.1_2.13-4.4.0.jar")
    'delta-spark_4.1_2.13'
    """
    return re.sub(r"-\d[^-]*(-[^-]+)*\.jar$", "", file_name)


def _resolve(names: list[str]) -> None:
    spark_artifacts = {artifact(jar.name) for jar in (spark_home() / "jars").glob("*.jar")}
    # Two processes cannot share Ivy's folders, so each resolution has its own.
    with contextlib.ExitStack() as ending:
        scratch = ending.enter_context(tempfile.TemporaryDirectory(dir=cache_dir("connectors"), prefix=".resolving-"))
        log = ending.enter_context(open(Path(scratch, "log"), "w+b"))
        gateway = launch({}, stdout=log, stderr=subprocess.STDOUT)
        try:
            for name in names:
                resolved_folder = Path(scratch, "made", cached_jars_folder(name).name)
                resolved_folder.mkdir(parents=True)
                for group in _groups(name):
                    for jar in _resolve_group(gateway.jvm, group, Path(scratch, "ivy"), name, Path(scratch, "log")):
                        if name in PROGRAMS or artifact(jar.name.split("_", 1)[-1]) not in spark_artifacts:
                            shutil.copy2(jar, resolved_folder / jar.name)
                put_folder(resolved_folder, cached_jars_folder(name))
        finally:
            gateway.close_jvm()


def _resolve_group(jvm: JVMView, group: Group, ivy: Path, name: str, log: Path) -> list[Path]:
    from py4j.protocol import Py4JJavaError

    none = jvm.scala.Option.empty()
    settings = os.environ.get("CAUDAL_IVY_SETTINGS")
    option = jvm.scala.Option.apply(settings) if settings else none
    resolver = jvm.org.apache.spark.util.DependencyUtils
    try:
        resolved_paths = resolver.resolveMavenDependencies(
            group.transitive, ",".join(group.excludes), ",".join(group.coordinates), None, str(ivy), option
        )
    except Py4JJavaError as error:
        reason = str(error.java_exception.getMessage())
        raise EnvironmentProblem(
            f"The {'program' if name in PROGRAMS else 'connector'} '{name}' cannot be fetched: {reason}.",
            fix="Check the network; where a mirror must be used, name an Ivy settings file in CAUDAL_IVY_SETTINGS.",
            connector=name,
            coordinates=", ".join(group.coordinates),
            log=log.read_text(errors="replace")[-4000:],
        ) from None
    return [Path(path) for path in resolved_paths.mkString("\n").splitlines()]
