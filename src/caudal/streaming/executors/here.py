"""The executor that uses this process, and workers of its own where there is much to compute: the fastest on one machine, and the one that needs no Java."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caudal.declarations.node import Source
from caudal.streaming.executor import EngineRequest
from caudal.streaming.in_process import InProcessEngine

EXECUTOR = "here"
MOST_BYTES = 8 << 20
"""Bytes of messages of a micro-batch, of each worker's part where it is computed in parts: a backlog is read bit by bit, and memory stays bounded."""
SPARK: Mapping[str, str] = {}


def connectors(sources: Sequence[Source]) -> frozenset[str]:
    """Return no connector: the sources' own taps are read."""
    return frozenset()


def engine(request: EngineRequest) -> InProcessEngine:
    """Return the engine of a source."""
    return InProcessEngine(**request.common(), most_bytes=MOST_BYTES, stream_workers=request.stream_workers)
