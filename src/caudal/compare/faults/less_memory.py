"""``less-memory``: Spark has a sixth of its memory for rows, from the beginning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from caudal.compare.fault import BrokenWork, Fault

if TYPE_CHECKING:
    from caudal.compare.platform import Platform, Workload

# Spark's heap for rows is (memory - 300 MB) * spark.memory.fraction, 0.6 unless told otherwise.
_SETTINGS = {"spark.memory.fraction": "0.1", "spark.memory.storageFraction": "0.1"}


class LessMemory(Fault):
    """A sixth of the memory that Spark has for rows."""

    name = "less-memory"
    about = "Spark has a sixth of its memory for rows, so that it spills"
    strikes = False

    def refuses(self, platform: Platform, workload: Workload) -> str | None:  # noqa: ARG002
        """Return why memory cannot be taken away."""
        if platform.kind in ("local", "cluster", "master"):
            return None
        return f"{platform.title} has no setting for the memory of rows"

    def spark(self, platform: Platform) -> Mapping[str, str]:  # noqa: ARG002
        """Return the settings."""
        return _SETTINGS

    def strike(self, work: BrokenWork) -> None:
        """Do nothing: it holds from the beginning."""


FAULT = LessMemory()
