"""What an executor is asked for: the engine of a stream source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from caudal.declarations.node import Source
from caudal.declarations.outlet import Outlet
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest.streams.tap import Tap
from caudal.streaming.outlets import Sender
from caudal.streaming.workers import StreamWorkers


@dataclass(frozen=True)
class EngineRequest:
    """A source whose engine is wanted.

    Parameters
    ----------
    tap : reads the source in this process, and tells whether it answers
    way_out : returns the sender of an outlet
    publish_s, every_s : float, seconds between two versions of a table, and between the beginnings of two micro-batches
    stream_workers : the processes that compute large micro-batches of this process's streams
    """

    ws: Workspace
    source: Source
    tap: Tap
    way_out: Callable[[Outlet], Sender]
    publish_s: float
    every_s: float
    stream_workers: StreamWorkers

    def common(self) -> dict[str, Any]:
        """Return the arguments that every engine takes."""
        return {
            "product": self.ws.product, "source": self.source, "home": self.ws.tables.home, "tap": self.tap, "run_id": self.ws.record.run_id,
            "publish_s": self.publish_s, "way_out": self.way_out,
        }  # fmt: skip
