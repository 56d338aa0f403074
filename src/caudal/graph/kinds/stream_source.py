"""A stream's source: its samples are captured as they arrive; a run processes the captured samples once."""

from __future__ import annotations

from caudal.declarations.join import is_stream
from caudal.declarations.node import Source
from caudal.graph.kinds.source import SourceKind


class StreamSourceKind(SourceKind):
    """Kafka, an embedded log, a folder or a socket, with channels."""

    name = "stream source"
    rank = 11
    streamed = True
    backfill = "left out"

    def includes(self, declaration: Source) -> bool:
        """Return whether it is a stream."""
        return is_stream(declaration)

    def after(self, declaration: Source) -> tuple[object, ...]:
        """Return nothing: a stream does not wait for tasks."""
        return ()


KIND = StreamSourceKind()
