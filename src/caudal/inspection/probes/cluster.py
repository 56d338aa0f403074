"""The cluster: a standalone master's workers by its page, YARN's nodes by the resource manager."""

from __future__ import annotations

from typing import Any, Iterator
from urllib.parse import urlsplit

from caudal.inspection.configuration import site_settings
from caudal.inspection.fact import InspectedFact, InspectionProbe, known, not_known
from caudal.inspection.scope import InspectionScope
from caudal.inspection.session import session_master

ORDER = 140
_PAGE_PORT = 8080
_MANAGER_PORT = 8088
_MIB = 1 << 20


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the master, and the workers with cores and memory."""
    known_master = session_master(scope)
    if known_master is None:
        manager = _manager(scope)
        if manager is not None:  # a machine of a YARN cluster, without a session
            yield from _yarn(scope, *manager)
            return
        why = "no --master, no session, none of CAUDAL_MASTER, SPARK_MASTER, MASTER is set, no yarn-site.xml"
        yield not_known("master", "Master", why)
        return
    master, how = known_master
    yield known("master", "Master", master, how)
    if master.startswith("local"):
        yield known("workers", "Workers", "none", "the master is local: driver and executor are one process of this machine")
    elif master.startswith(("spark://", "http://", "https://")):
        yield from _standalone(scope, master)
    elif master.startswith("yarn"):
        manager = _manager(scope)
        if manager is None:
            yield not_known("workers", "Workers", "no yarn-site.xml names the resource manager")
        else:
            yield from _yarn(scope, *manager)
    elif master.startswith("k8s://"):
        yield not_known("workers", "Workers", "Kubernetes' nodes are not asked for: that takes a login")
    else:
        yield not_known(
            "workers", "Workers", f"{master.partition('://')[0]} names no kind of cluster that is asked for its workers"
        )


def _standalone(scope: InspectionScope, master: str) -> Iterator[InspectedFact]:
    """Ask each master of the address; of several only the leading one has workers."""
    pages = [master.rstrip("/")]
    if master.startswith("spark://"):
        hosts = (urlsplit(f"//{place}").hostname or "" for place in master[len("spark://") :].split(","))
        pages = [f"http://{f'[{host}]' if ':' in host else host}:{_PAGE_PORT}" for host in hosts]
    refusals = []
    for page in pages:
        try:
            master_page = scope.json(f"{page}/json/")
            if master_page.get("status") == "STANDBY":
                refusals.append(f"{page} stands by")
                continue
            rows = [_worker(worker) for worker in master_page["workers"]]
        except OSError as error:
            refusals.append(str(error))
        except (KeyError, TypeError, AttributeError):
            refusals.append(f"{page} does not answer as a master of Spark does")
        else:
            how = f"{page}/json/"
            yield known("master_state", "State of the master", str(master_page.get("status")), how)
            yield known("workers", "Workers", rows or "none", how, bytes_in=("memory", "memory_used"))
            alive = [row for row in rows if row["state"] == "ALIVE"]
            yield known("cluster_cores", "Cores of all workers that are alive", sum(row["cores"] for row in alive), how)
            yield known("cluster_memory", "Memory of all workers that are alive", sum(row["memory"] for row in alive), how, "bytes")
            return
    hint = (
        f"; the page's port was taken to be {_PAGE_PORT}: give --master http://host:port of the page"
        if master.startswith("spark://")
        else ""
    )
    yield not_known("workers", "Workers", "; ".join(refusals) + hint)


def _worker(worker: dict[str, Any]) -> dict[str, Any]:
    return {
        "worker": f"{worker['host']}:{worker['port']}", "state": worker["state"], "cores": worker["cores"], "cores_used": worker["coresused"],
        "memory": worker["memory"] * _MIB, "memory_used": worker["memoryused"] * _MIB,
    }  # fmt: skip


def _manager(scope: InspectionScope) -> tuple[list[str], str] | None:
    """Return the pages of YARN's resource managers, and the file that names them."""
    site = site_settings(scope, "yarn-site.xml")
    if site is None:
        return None
    settings, file = site
    names = [f".{name.strip()}" for name in settings.get("yarn.resourcemanager.ha.rm-ids", "").split(",") if name.strip()] or [""]
    pages = []
    for name in names:
        page = settings.get(f"yarn.resourcemanager.webapp.address{name}")
        host = settings.get(f"yarn.resourcemanager.hostname{name}")
        if (page and "${" not in page) or host:
            pages.append(f"http://{page if page and '${' not in page else f'{host}:{_MANAGER_PORT}'}")
    return (pages, file) if pages else None


def _yarn(scope: InspectionScope, pages: list[str], file: str) -> Iterator[InspectedFact]:
    refusals = []
    for page in pages:
        how = f"{page}/ws/v1/cluster/nodes, named by {file}"
        try:
            nodes = scope.json(f"{page}/ws/v1/cluster/nodes")
            rows = [_node(node) for node in ((nodes.get("nodes") or {}).get("node") or [])]
        except OSError as error:
            refusals.append(str(error))
        except (KeyError, TypeError, AttributeError):
            refusals.append(f"{page} does not answer as a resource manager does")
        else:
            yield known("manager", "Resource manager", page, file)
            yield known("workers", "Workers", rows or "none", how, bytes_in=("memory", "memory_used"))
            return
    yield not_known("workers", "Workers", "; ".join(refusals))


def _node(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "worker": node.get("nodeHostName") or node["id"], "state": node["state"],
        "cores": node["usedVirtualCores"] + node["availableVirtualCores"], "cores_used": node["usedVirtualCores"],
        "memory": (node["usedMemoryMB"] + node["availMemoryMB"]) * _MIB, "memory_used": node["usedMemoryMB"] * _MIB,
    }  # fmt: skip


PROBE = InspectionProbe("cluster", "Cluster", findings)
