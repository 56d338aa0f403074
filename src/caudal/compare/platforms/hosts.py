"""``hosts:N``: a standalone cluster on this machine whose workers are hosts of their own, each in a network namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.platform import Platform, PlatformKind, RunningPlatform, by_form
from caudal.compare.platforms.cluster import cluster_diagram, executor_memory, running
from caudal.engine.cluster import Cluster
from caudal.engine.hosts import Hosts

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram


class ClusterOfHosts(Platform):
    """A master, and workers between which there is a network: what they exchange goes over it, and its links can be cut."""

    kind = "hosts"
    is_cluster = True

    @contextmanager
    def started(self, folder: Path, settings: Settings) -> Iterator[RunningPlatform]:
        """Make the hosts and start the cluster; stop both afterwards."""
        workers = self.cores or 1
        with Hosts(folder, workers) as hosts, Cluster(folder, workers, executor_memory(settings), hosts) as cluster:
            yield running(self, cluster, hosts)

    def diagram(self, settings: Settings) -> Diagram:
        """Return driver, master, workers on their hosts with their executors, and the store."""
        return cluster_diagram(self.cores or 1, settings, "host")


def _make(match: re.Match[str], text: str) -> ClusterOfHosts:
    workers = int(match[1])
    word = "worker on a host of its own" if workers == 1 else "workers on hosts of their own"
    return ClusterOfHosts(text, f"a standalone cluster of {workers} {word}", frozenset({"run", "stream"}), workers)


PLATFORM = PlatformKind(
    "hosts",
    "hosts:N",
    "a standalone cluster of N workers, each in a network namespace of its own as on another host",
    by_form(r"hosts:([1-9]\d*)", _make),
)
