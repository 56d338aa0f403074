"""The executor that uses Spark Structured Streaming: for streams that outgrow one machine, and to see them in Spark's own monitoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from caudal.declarations.connection import Kafka
from caudal.declarations.node import Source
from caudal.stages.ingest.streams import stream_frame
from caudal.streaming.executor import EngineRequest

if TYPE_CHECKING:
    from caudal.streaming.engine import StreamEngine

EXECUTOR = "spark"
MOST_BYTES = 128 << 20
"""Bytes of messages of a micro-batch."""
SPARK: Mapping[str, str] = {"spark.ui.enabled": "true"}
"""Settings of the session: the page 'Structured Streaming' of Spark's UI shows the queries."""


def connectors(sources: Sequence[Source]) -> frozenset[str]:
    """Return the connectors that Spark needs to read the sources."""
    return frozenset({"kafka"} if any(isinstance(source.connection, Kafka) for source in sources) else ())


def engine(request: EngineRequest) -> StreamEngine:
    """Return the engine of a source; its query starts with its first step.

    Raises
    ------
    DeclarationProblem : the stream's windows or its lateness are finer than Spark's milliseconds
    """
    from caudal.streaming.structured.engine import StructuredEngine
    from caudal.streaming.structured.progress import QueryMinutes

    ws, source = request.ws, request.source
    place = ws.tables.home.stream(ws.product.name, source.name)
    return StructuredEngine(
        **request.common(),
        session=lambda: ws.spark.session,
        messages=partial(stream_frame, connection=source.connection, place=place, data=ws.settings.data, max_bytes=MOST_BYTES),
        every_s=request.every_s,
        minutes=QueryMinutes(ws.record, source.name),
    )
