"""What the engines run in: a virtual environment each, made once in the user's cache, and jars by Spark's resolver."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from caudal.errors import EnvironmentProblem
from caudal.spark import connectors
from caudal.spark.cache import cache_dir

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
    wanted = (HERE / f"{engine}.txt").read_bytes() + sys.version.encode()
    folder = cache_dir("peers") / f"{engine}-{hashlib.sha256(wanted).hexdigest()[:12]}"
    python, whole = folder / "bin" / "python", folder / "whole"
    if whole.is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(HERE / f"{engine}.txt")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise EnvironmentProblem(
                f"'{engine}' cannot be installed for Python {sys.version.split()[0]}: {done.stderr.strip()[-500:]}",
                fix="Compare without it, or with another Python.",
            )
    whole.touch()
    return python


def jars_of(engine: str) -> tuple[str, ...]:
    """Return the jars with which an engine reads Kafka."""
    if engine == "flink":
        connectors.program(FLINK)
        return tuple(map(str, connectors.kept_at(FLINK).glob(f"*{FLINK}*.jar")))
    return tuple(map(str, connectors.jars(["kafka"]))) if engine == "spark" else ()
