"""What runs this machine's Spark: Databricks, EMR, Dataproc, Colab, or nothing of the kind; and whether this is a container or a notebook."""

from __future__ import annotations

import json
import sys
from typing import Any, Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, not_known
from caudal.inspection.metadata import metadata_answer
from caudal.inspection.scope import InspectionScope
from caudal.inspection.session import session_setting

ORDER = 30
_TAGS = "spark.databricks.clusterUsageTags."
_EMR = "/mnt/var/lib/info"


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the platform with what it says of itself, the container, the notebook."""
    platforms = (_databricks, _emr, _dataproc, _colab)
    facts = next((facts for platform in platforms if (facts := platform(scope))), None)
    if facts:
        yield from facts
    else:
        tried = f"no DATABRICKS_RUNTIME_VERSION; no {_EMR}; no /etc/google-dataproc; no COLAB_RELEASE_TAG"
        yield known("platform", "Platform", "plain (none of Databricks, EMR, Dataproc, Colab)", tried)
    yield _container(scope)
    if scope.environment.get("KUBERNETES_SERVICE_HOST"):
        namespace = scope.text("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
        yield known(
            "kubernetes", "Kubernetes", f"namespace {namespace}" if namespace else "yes", "variable KUBERNETES_SERVICE_HOST"
        )
    yield _notebook()


def _databricks(scope: InspectionScope) -> list[InspectedFact]:
    version = scope.environment.get("DATABRICKS_RUNTIME_VERSION")
    if not version:
        return []
    facts = [known("platform", "Platform", f"Databricks, runtime {version}", "variable DATABRICKS_RUNTIME_VERSION")]
    for name, label, tag in (
        ("cluster_id", "Cluster id", "clusterId"), ("cluster_name", "Cluster name", "clusterName"), ("node_type", "Type of workers", "clusterNodeType"),
        ("driver_type", "Type of driver", "driverNodeType"), ("workers", "Workers asked for", "clusterWorkers"), ("cluster_region", "Region of cluster", "region"),
    ):  # fmt: skip
        value = session_setting(scope, _TAGS + tag)
        why = f"{_TAGS}{tag} is not set" if scope.spark is not None else scope.spark_missing
        facts.append(known(name, label, value, f"Spark setting {_TAGS}{tag}") if value else not_known(name, label, why))
    return facts


def _emr(scope: InspectionScope) -> list[InspectedFact]:
    if not scope.path(f"{_EMR}/job-flow.json").is_file():
        return []
    flow, instance, extra = (_json(scope, f"{_EMR}/{file}.json") for file in ("job-flow", "instance", "extraInstanceData"))
    release = extra.get("releaseLabel") or flow.get("releaseLabel")
    facts = [known("platform", "Platform", f"EMR, release {release}" if release else "EMR", f"{_EMR}/job-flow.json")]
    if flow.get("jobFlowId"):
        facts.append(known("cluster_id", "Cluster id", flow["jobFlowId"], f"{_EMR}/job-flow.json"))
    if "isMaster" in instance:
        role = "master" if instance["isMaster"] else "core or task"
        facts.append(known("role", "Role of this machine", role, f"{_EMR}/instance.json"))
    return facts


def _dataproc(scope: InspectionScope) -> list[InspectedFact]:
    attributes = metadata_answer(scope).attributes
    if scope.path("/etc/google-dataproc").is_dir():
        how = "/etc/google-dataproc"
    elif "dataproc-cluster-name" in attributes:
        how = "metadata attribute dataproc-cluster-name"
    else:
        return []
    version = scope.environment.get("DATAPROC_IMAGE_VERSION") or scope.environment.get("DATAPROC_VERSION")
    facts = [known("platform", "Platform", f"Dataproc, image {version}" if version else "Dataproc", how)]
    for name, label in (("cluster-name", "Cluster name"), ("role", "Role of this machine"), ("region", "Region of cluster")):
        key = f"dataproc-{name}"
        value, fact = attributes.get(key), {"cluster-name": "cluster_name", "region": "cluster_region"}.get(name, name)
        how, why = f"metadata attribute {key}", f"the metadata service gives no attribute {key}"
        facts.append(known(fact, label, value, how) if value else not_known(fact, label, why))
    return facts


def _colab(scope: InspectionScope) -> list[InspectedFact]:
    release = scope.environment.get("COLAB_RELEASE_TAG")
    if not release and "google.colab" not in sys.modules:
        return []
    how = "variable COLAB_RELEASE_TAG" if release else "the module google.colab is loaded"
    return [known("platform", "Platform", f"Colab, release {release}" if release else "Colab", how)]


def _container(scope: InspectionScope) -> InspectedFact:
    name = scope.environment.get("container") or scope.text("/run/systemd/container")
    groups = scope.text("/proc/1/cgroup") or ""
    marks = ("kubepods", "docker", "containerd", "libpod", "lxc")
    named = next((mark for mark in marks if mark in groups), None)
    if scope.path("/.dockerenv").exists():
        return known("container", "Container", "Docker", "/.dockerenv")
    if scope.path("/run/.containerenv").exists():
        return known("container", "Container", "Podman", "/run/.containerenv")
    if name:
        return known("container", "Container", name, "variable container, or /run/systemd/container")
    if named:
        return known("container", "Container", named, "/proc/1/cgroup")
    return known(
        "container",
        "Container",
        "no sign of one",
        "no /.dockerenv, no /run/.containerenv, no variable container, /proc/1/cgroup names none",
    )


def _notebook() -> InspectedFact:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return known("notebook", "Notebook", "no", "IPython does not run in this process")
    kind = type(shell).__name__
    return known(
        "notebook",
        "Notebook",
        "no, IPython in a terminal" if kind == "TerminalInteractiveShell" else "yes",
        f"IPython's shell is a {kind}",
    )


def _json(scope: InspectionScope, path: str) -> dict[str, Any]:
    try:
        document = json.loads(scope.text(path) or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


PROBE = InspectionProbe("platform", "Platform", findings)
