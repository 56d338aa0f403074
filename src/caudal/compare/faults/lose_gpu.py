"""``lose-gpu``: the process that uses the GPU dies, and the same command is given again where no GPU is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from caudal.compare.fault import BrokenWork, Fault
from caudal.compare.gpus import has_gpu

if TYPE_CHECKING:
    from caudal.compare.platform import Platform, Workload


class LoseGpu(Fault):
    """The loss of the GPU."""

    name = "lose-gpu"
    about = "the work's process dies with its GPU, and the same command goes on where none is seen"

    def refuses(self, platform: Platform, workload: Workload) -> str | None:  # noqa: ARG002
        """Return why no GPU can be lost: there is none."""
        return None if has_gpu() else "this machine has no GPU that could be lost"

    def environment(self) -> Mapping[str, str]:
        """Return the variable that hides GPUs."""
        return {"CUDA_VISIBLE_DEVICES": ""}

    def strike(self, work: BrokenWork) -> None:
        """Kill the process; the next one sees no GPU."""
        work.attempt.kill()
        work.note("fault", "the process of the work was killed, and its GPU is gone")


FAULT = LoseGpu()
