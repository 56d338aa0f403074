"""This Python, and the libraries that it can import."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from typing import Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, known_if
from caudal.inspection.scope import InspectionScope

ORDER = 100
# Libraries of which a version decides whether data and models can be exchanged.
MAIN_LIBRARIES = (
    "caudal", "pyspark", "pyspark-client", "databricks-connect", "databricks-sdk", "pysail", "delta-spark", "deltalake", "pandas", "numpy", "pyarrow",
    "polars", "duckdb", "scikit-learn", "scipy", "mlflow", "mlflow-skinny", "lightgbm", "xgboost", "h2o", "torch", "tensorflow", "onnxruntime", "ray", "dask",
    "luigi", "sqlalchemy", "psycopg", "psycopg2", "pymysql", "boto3", "google-cloud-storage", "azure-storage-blob", "kafka-python", "confluent-kafka", "py4j", "grpcio",
    "protobuf", "ipykernel", "notebook", "jupyterlab",
)  # fmt: skip


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the interpreter, its environment, the main libraries and all packages."""
    yield known("python", "Python", f"{platform.python_implementation()} {platform.python_version()}", "this process")
    yield known_if("executable", "Interpreter", sys.executable, "sys.executable", "sys.executable is empty: Python is embedded")
    virtual = sys.prefix != sys.base_prefix
    conda = os.path.isdir(os.path.join(sys.prefix, "conda-meta"))
    kind = "virtual environment" if virtual else "Conda environment" if conda else "no virtual environment"
    yield known("environment", "Environment", f"{kind}, {sys.prefix}", "sys.prefix and sys.base_prefix")
    for name, label in (("PYSPARK_PYTHON", "Python of the executors"), ("PYSPARK_DRIVER_PYTHON", "Python of the driver")):
        if scope.environment.get(name):
            yield known(name.lower(), label, scope.environment[name], f"variable {name}")
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)  # the first on the path hides the others
    rows = [{"library": name, "version": found[name]} for name in MAIN_LIBRARIES if name in found]
    yield known_if(
        "libraries",
        "Libraries",
        rows,
        "installed packages (importlib.metadata)",
        f"none of {', '.join(MAIN_LIBRARIES)} is installed",
    )
    yield known("packages", "All packages", [f"{name} {version}" for name, version in sorted(found.items())], "importlib.metadata")


PROBE = InspectionProbe("python", "Python", findings)
