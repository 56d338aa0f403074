"""Environment variables that Spark, Hadoop, Java, Python and clouds read. Those with secret names are shown without their values."""

from __future__ import annotations

from typing import Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known
from caudal.inspection.masking import mask_setting
from caudal.inspection.scope import InspectionScope

ORDER = 170
_PREFIXES = (
    "SPARK_", "PYSPARK_", "HADOOP_", "YARN_", "HIVE_", "JAVA_", "CAUDAL_", "AWS_", "AZURE_", "GOOGLE_", "GCE_", "DATABRICKS_", "DATAPROC_", "EMR_", "COLAB_", "KUBERNETES_",
    "CUDA_", "NVIDIA_", "OMP_", "OPENBLAS_", "MKL_", "MLFLOW_",
)  # fmt: skip
_NAMES = {
    "PATH",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "CLASSPATH",
    "MASTER",
    "TZ",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "HOSTNAME",
    "LOCAL_DIRS",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
}


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the variables, and how many others there are."""
    chosen = {name: value for name, value in sorted(scope.environment.items()) if name in _NAMES or name.startswith(_PREFIXES)}
    rows = [{"variable": name, "value": mask_setting(name, value)} for name, value in chosen.items()]
    yield known("variables", "Variables", rows or "none", "this process's environment; values with secret names are masked")
    yield known("others", "Other variables", len(scope.environment) - len(chosen), "not shown: they may hold anything")


PROBE = InspectionProbe("variables", "Environment variables", findings)
