"""``kill-driver``: the process of the work dies, and the same command is given again."""

from __future__ import annotations

from caudal.compare.fault import BrokenWork, Fault


class KillDriver(Fault):
    """The death of the driver."""

    name = "kill-driver"
    about = "the process of the work is killed with its Java; the same command goes on"

    def strike(self, work: BrokenWork) -> None:
        """Kill the process."""
        work.attempt.kill()
        work.note("fault", "the process of the work was killed")


FAULT = KillDriver()
