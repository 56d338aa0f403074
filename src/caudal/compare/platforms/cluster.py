"""``cluster:N``: a standalone cluster that caudal starts on this machine: a master and N workers of one core each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.diagram import architecture, edge, in_bytes, node
from caudal.compare.platform import Platform, PlatformKind, RunningPlatform, by_form
from caudal.engine.cluster import Cluster
from caudal.engine.hosts import Hosts

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram

_MEMORY = "1g"
"""Of an executor, unless `spark.executor.memory` says otherwise."""


class StartedCluster(Platform):
    """A master and workers, each a Java process of its own."""

    kind = "cluster"
    is_cluster = True

    @contextmanager
    def started(self, folder: Path, settings: Settings) -> Iterator[RunningPlatform]:
        """Start the cluster, and stop it afterwards."""
        workers = self.cores or 1
        with Cluster(folder, workers, executor_memory(settings)) as cluster:
            yield running(self, cluster)

    def diagram(self, settings: Settings) -> Diagram:
        """Return driver, master, workers with their executors, and the store."""
        return cluster_diagram(self.cores or 1, settings)


def running(platform: Platform, cluster: Cluster, hosts: Hosts | None = None) -> RunningPlatform:
    """Return a platform whose workers caudal has started."""
    return RunningPlatform(
        platform,
        {"engine": "spark", "master": cluster.address, "cores": platform.cores, "spark": dict(cluster.settings)},
        lambda: cluster.processes(),
        tuple(range(platform.cores or 1)),
        cluster.kill_worker,
        lambda number: cluster.start_worker(number, wait=False),
        None if hosts is None else hosts.cut,
        None if hosts is None else hosts.join,
    )


def cluster_diagram(workers: int, settings: Settings, host: str = "") -> Diagram:
    """Return driver, master, and workers with their executors; ``host`` is the word for where a worker is, if it has a host of its own."""
    parts = [node("driver", "driver"), node("master", "master")]
    lines = [edge("driver", "master", "asks for executors")]
    for number in range(workers):
        at = f", {host} {number}" if host else ""
        parts += [
            node("worker", f"worker {number}{at}", name=f"worker-{number}", cores=1),
            node(
                "executor",
                f"executor {number}",
                name=f"executor-{number}",
                cores=1,
                memory=in_bytes(executor_memory(settings)),
            ),
        ]
        lines += [edge("master", f"worker-{number}", "starts executors"), edge("driver", f"executor-{number}", "tasks")]
    return architecture(parts, lines)


def executor_memory(settings: Settings) -> str:
    """Return the memory of an executor."""
    return settings.spark.get("spark.executor.memory", _MEMORY)


def _make(match: re.Match[str], text: str) -> StartedCluster:
    workers = int(match[1])
    word = "worker" if workers == 1 else "workers"
    return StartedCluster(text, f"a standalone cluster of {workers} {word} on this machine", frozenset({"run", "stream"}), workers)


PLATFORM = PlatformKind(
    "cluster",
    "cluster:N",
    "a standalone cluster of N workers that caudal starts on this machine",
    by_form(r"cluster:([1-9]\d*)", _make),
)
