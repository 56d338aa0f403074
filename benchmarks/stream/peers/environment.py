"""What the engines run in: a virtual environment each, made once in the user's cache, and jars by Spark's resolver."""

from __future__ import annotations

from pathlib import Path

from benchmarks.environment import python_with
from caudal.engine import connectors

HERE = Path(__file__).parent
FLINK = "flink-sql-connector-kafka"
# A program's jars stay away from caudal's own Spark.
connectors.PROGRAMS[FLINK] = (connectors.Group((f"org.apache.flink:{FLINK}:5.0.0-2.2",), transitive=False),)


def python_of(engine: str) -> Path:
    """Return the interpreter that has what ``<engine>.txt`` pins.

    Raises
    ------
    EnvironmentProblem : it cannot be installed for this Python; nothing is kept
    """
    return python_with(HERE / f"{engine}.txt")


def jars_of(engine: str) -> tuple[str, ...]:
    """Return the jars with which an engine reads Kafka."""
    if engine == "flink":
        connectors.program(FLINK)
        return tuple(map(str, connectors.cached_jars_folder(FLINK).glob(f"*{FLINK}*.jar")))
    return tuple(map(str, connectors.jars(["kafka"]))) if engine == "spark" else ()
