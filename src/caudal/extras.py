"""Libraries that not every installation has, and the extras of the package that bring them (``docs/installation.md``)."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from caudal.errors import EnvironmentProblem

if TYPE_CHECKING:
    from importlib.metadata import Distribution

# Distributions that are not named after the module that they hold.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "grpc": "grpcio",
    "grpc_status": "grpcio-status",
    "google.rpc": "googleapis-common-protos",
    "openlineage.client": "openlineage-python",
    "databricks.sdk": "databricks-sdk",
}

CANDIDATE_LIBRARIES = {"lightgbm": ("lightgbm",), "xgboost": ("xgboost", "xgboost-cpu"), "cuml": ("cuml-cu12",), "h2o": ("h2o",)}
"""The libraries of candidates that products import themselves, each with the distributions that hold it; the extra has the library's name."""

PYSPARK, CLIENT = "pyspark", "pyspark-client"
"""Spark with PySpark, and PySpark without Spark: the same files, but those that need Java (``docs/adr/0045-spark-is-an-extra.md``)."""
INSTALL_SPARK = "pip install 'caudal[spark]'"


def installed(name: str) -> Distribution:
    """Return an installed distribution; for PySpark without Spark, that of its client.

    Raises
    ------
    PackageNotFoundError : it is not installed
    """
    from importlib.metadata import PackageNotFoundError, distribution  # slower than the declarations

    try:
        return distribution(name)
    except PackageNotFoundError:
        if name != PYSPARK:
            raise
        return distribution(CLIENT)


def has_spark() -> bool:
    """Return whether Spark itself is installed, not only PySpark's client of Spark Connect; nothing of it is imported."""
    package = find_spec("pyspark")
    if package is None or package.submodule_search_locations is None:
        return False
    folders = [str(Path(folder) / "core") for folder in package.submodule_search_locations]  # in an archive under spark-submit
    return PathFinder.find_spec("pyspark.core.context", folders) is not None and find_spec("py4j") is not None


def check_pyspark() -> None:
    """Raise where PySpark and its client are installed in two versions, or one was uninstalled with the files that they share.

    Raises
    ------
    EnvironmentProblem : so it is; the fix is the command that mends it
    """
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in (PYSPARK, CLIENT):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    if len({*found.values()}) > 1:
        raise EnvironmentProblem(
            f"{' and '.join(f'{name} {number}' for name, number in found.items())} are installed, and share their files.",
            fix=f"Run: {INSTALL_SPARK}",
        )
    if found and find_spec("pyspark") is None:
        name, number = next(iter(found.items()))
        raise EnvironmentProblem(
            f"Files of {name} are missing: it shares them with a package that was uninstalled.",
            fix=f"Run: pip install --force-reinstall --no-deps {name}=={number}",
        )


def require_spark(for_: str) -> None:
    """Raise unless Spark itself is installed.

    Parameters
    ----------
    for_ : what needs it, as the subject of a sentence

    Raises
    ------
    EnvironmentProblem : it is not installed; the fix is the command that installs it
    """
    check_pyspark()
    if not has_spark():
        raise spark_missing(for_)


def spark_missing(for_: str, *, why: str = "") -> EnvironmentProblem:
    """Return the problem of Spark that is not there, with the command that installs it.

    Parameters
    ----------
    why : the sentence that says what it is needed for

    Examples
    --------
    >>> print(spark_missing("Step 'table:trips'", why="Table 'trips' needs RDDs."))
    Step 'table:trips' needs pyspark, which is not installed: Table 'trips' needs RDDs. Run: pip install 'caudal[spark]'
    """
    wrong = f"is not installed: {why.rstrip('.')}" if why else "is not installed"
    return missing_library("pyspark", extra="spark", for_=for_, wrong=wrong)


def require(library: str, *, extra: str, for_: str) -> ModuleType:
    """Return an imported library of an extra.

    Parameters
    ----------
    library : name of the module, such as ``plotly``
    extra : the extra of caudal that brings it, such as ``console``
    for_ : what needs it, as the subject of a sentence

    Raises
    ------
    EnvironmentProblem : it is not installed, or cannot be loaded; the fix is the command that installs it
    """
    try:
        return import_module(library)
    except ModuleNotFoundError:
        raise missing_library(library, extra=extra, for_=for_) from None
    except ImportError as error:
        problem = missing_library(library, extra=extra, for_=for_, wrong=f"cannot be loaded: {error}")
        raise problem from error


def missing_library(library: str, *, extra: str, for_: str, wrong: str = "is not installed") -> EnvironmentProblem:
    """Return the problem of a library that is not there, with the command that installs it.

    Examples
    --------
    >>> print(missing_library("confluent_kafka", extra="kafka", for_="caudal broker"))
    caudal broker needs confluent-kafka, which is not installed. Run: pip install 'caudal[kafka]'
    """
    package = _DISTRIBUTIONS.get(library, library.partition(".")[0].replace("_", "-"))
    return EnvironmentProblem(
        f"{for_} needs {package}, which {wrong}.",
        fix=f"Run: pip install 'caudal[{extra}]'",
        package=package,
        extra=extra,
        transient=False,
    )
