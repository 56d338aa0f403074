"""``kill-worker``: a worker of a cluster falls with its executors, and comes back some seconds later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from caudal.compare.fault import BrokenWork, Fault

if TYPE_CHECKING:
    from caudal.compare.platform import Platform, Workload

AWAY_S = 3.0
"""Seconds until the worker is started again."""


class KillWorker(Fault):
    """The death of a worker."""

    name = "kill-worker"
    about = f"a worker is killed with its executors, and started again {AWAY_S:.0f} s later"

    def refuses(self, platform: Platform, workload: Workload) -> str | None:  # noqa: ARG002
        """Return why no worker can fall: there is none, or it is not caudal's to kill."""
        if platform.kind in ("master", "connect"):
            return f"the workers of {platform.title} are not caudal's to kill"
        return (
            None if platform.kind in ("cluster", "hosts") else f"{platform.title} has no worker apart from the process of the work"
        )

    def strike(self, work: BrokenWork) -> None:
        """Kill the first worker; start it again once it was away."""
        number = work.platform.workers[0]
        assert work.platform.kill_worker is not None
        assert work.platform.start_worker is not None
        work.platform.kill_worker(number)
        work.note("fault", f"worker {number} was killed with its executors")
        time.sleep(AWAY_S)
        work.platform.start_worker(number)
        work.note("process_started", f"worker {number} was started again")


FAULT = KillWorker()
