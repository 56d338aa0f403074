"""Where Spark is installed: versions by its jars, and what its configuration files set."""

from __future__ import annotations

import re
import shutil
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Iterator

from caudal.inspection.configuration import configuration_folders, default_settings
from caudal.inspection.fact import InspectedFact, InspectionProbe, known, not_known
from caudal.inspection.masking import mask_setting
from caudal.inspection.scope import InspectionScope

ORDER = 110
_USUAL = ("/usr/lib/spark", "/opt/spark", "/usr/local/spark", "/databricks/spark", "/opt/bitnami/spark")
_JARS = {
    "spark": r"spark-core_[\d.]+-(\d.*)\.jar", "scala": r"scala-library-(\d.*)\.jar", "hadoop": r"hadoop-(?:client-api|common)-(\d.*)\.jar",
    "hive": r"hive-metastore-(\d.*)\.jar", "derby": r"derby-(\d.*)\.jar", "delta": r"delta-spark_[\d.]+-(\d.*)\.jar|delta-core_[\d.]+-(\d.*)\.jar",
}  # fmt: skip
_PACKAGES = ("pyspark", "pyspark-client", "databricks-connect")


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield each installation of Spark, PySpark, and the settings of ``spark-defaults.conf``."""
    rows = [_installation(folder, how) for folder, how in _homes(scope).items()]
    if rows:
        yield known(
            "installations",
            "Spark",
            rows,
            "variable SPARK_HOME, the package pyspark, spark-submit on the PATH, usual folders; versions by the jars' names",
        )
    else:
        yield not_known(
            "installations",
            "Spark",
            f"no SPARK_HOME, no package pyspark with jars, no spark-submit on the PATH, nothing in {', '.join(_USUAL)}",
        )
    for package in _PACKAGES:
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
        yield known("package", f"Package {package}", version, "installed packages (importlib.metadata)")
    module = find_spec("pyspark")
    if module is not None and module.origin:
        yield known("pyspark", "PySpark is imported from", str(Path(module.origin).parent), "Python's path")
    else:
        yield not_known("pyspark", "PySpark", "this Python cannot import it")
    folders = [folder for folder in configuration_folders(scope) if scope.path(folder).is_dir()]
    if folders:
        yield known(
            "configuration",
            "Folders of configuration",
            folders,
            "SPARK_CONF_DIR, HIVE_CONF_DIR, HADOOP_CONF_DIR, YARN_CONF_DIR, SPARK_HOME, /etc",
        )
    else:
        yield not_known("configuration", "Folders of configuration", "no variable names one, and none is in /etc")
    defaults = default_settings(scope)
    if defaults is None:
        yield not_known("defaults", "spark-defaults.conf", "there is none in those folders")
    else:
        settings = [{"setting": name, "value": mask_setting(name, value)} for name, value in sorted(defaults[0].items())]
        yield known("defaults", "spark-defaults.conf", settings or "empty", defaults[1])


def _homes(scope: InspectionScope) -> dict[Path, str]:
    """Return the folders of Spark, each with what named it."""
    homes: dict[Path, str] = {}
    if scope.environment.get("SPARK_HOME"):
        homes[scope.path(scope.environment["SPARK_HOME"]).resolve()] = "SPARK_HOME"
    module = find_spec("pyspark")
    if module is not None and module.origin and (Path(module.origin).parent / "jars").is_dir():
        homes.setdefault(Path(module.origin).parent.resolve(), "package pyspark")
    submit = shutil.which("spark-submit", path=scope.environment.get("PATH"))
    if submit:
        home = Path(submit).resolve().parent.parent
        if (home / "jars").is_dir():  # that of a Python package is a script which only finds the package
            homes.setdefault(home, "spark-submit on the PATH")
    for folder in _USUAL:
        if (scope.path(folder) / "jars").is_dir():
            homes.setdefault(scope.path(folder).resolve(), "usual folder")
    return homes


def _installation(folder: Path, how: str) -> dict[str, Any]:
    try:
        names = sorted(file.name for file in (folder / "jars").iterdir())
    except OSError:
        names = []
    versions = {}
    for library, pattern in _JARS.items():
        matches = (re.fullmatch(pattern, name) for name in names)
        versions[library] = next((next(group for group in match.groups() if group) for match in matches if match), None)
    return {"folder": str(folder), "found by": how, **versions, "jars": len(names)}


PROBE = InspectionProbe("spark", "Spark's installation", findings)
