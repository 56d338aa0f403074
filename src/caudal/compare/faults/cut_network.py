"""``cut-network``: a worker's host is cut off from the others for some seconds; its processes go on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from caudal.compare.fault import BrokenWork, Fault

if TYPE_CHECKING:
    from caudal.compare.platform import Platform, Workload

AWAY_S = 15.0
"""Seconds until the link is mended."""


class CutNetwork(Fault):
    """A partition of the network."""

    name = "cut-network"
    about = f"the host of a worker is cut off from the others for {AWAY_S:.0f} s, while its processes go on"

    def refuses(self, platform: Platform, workload: Workload) -> str | None:  # noqa: ARG002
        """Return why no link can be cut: workers have no hosts of their own."""
        if platform.kind == "hosts":
            return None
        return f"there is no network within {platform.title} that could be cut (hosts:N has one)"

    def spark(self, platform: Platform) -> dict[str, str]:  # noqa: ARG002
        """Return settings by which Spark notices within the fault what it would notice after two minutes."""
        return {"spark.network.timeout": "8s", "spark.network.timeoutInterval": "4s", "spark.executor.heartbeatInterval": "2s"}

    def strike(self, work: BrokenWork) -> None:
        """Cut the link of the first worker's host, and mend it later."""
        number = work.platform.workers[0]
        assert work.platform.cut_network is not None
        assert work.platform.join_network is not None
        work.platform.cut_network(number)
        work.note("fault", f"host {number} was cut off")
        time.sleep(AWAY_S)
        work.platform.join_network(number)
        work.note("process_started", f"host {number} was reached again")


FAULT = CutNetwork()
