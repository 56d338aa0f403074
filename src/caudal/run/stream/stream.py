"""``caudal stream``: the flow, top to bottom."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.errors import DeclarationProblem, StepFailed
from caudal.graph.load import load, product_file
from caudal.lake.feed import Feed
from caudal.lake.home import Home
from caudal.lake.lease import lease
from caudal.run.run import checked, new_run_id, opened
from caudal.run.stream.engine import Engine
from caudal.run.stream.live import Live
from caudal.run.workspace import Workspace
from caudal.spec.connection import CHANNELLED
from caudal.spec.node import Source
from caudal.spec.product import Product
from caudal.spec.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

MESSAGES = {"packed": 4096, "json": 200_000, "avro": 200_000}
"""The most messages of a micro-batch, so that a backlog is read bit by bit and memory stays bounded."""
_LOOK_S = 0.1


def stream(
    folder: Path,
    settings: Settings,
    *,
    seconds: float | None = None,
    once: bool = False,
    end: bool = False,
    every_s: float = 0.1,
    publish_s: float = 5.0,
    told: Callable[[list[Engine]], None] = lambda _: None,
) -> dict[str, Any]:
    """Run a product's streams until Ctrl-C or SIGTERM, for some seconds, or once until all that is there has been read.

    Parameters
    ----------
    once : bool, True ends when what is there has been read
    end : bool, True closes the windows that are open then: nothing more will come
    every_s : float, seconds between the beginnings of two micro-batches
    publish_s : float, seconds between two versions of a table

    Raises
    ------
    DeclarationProblem : the product has no stream
    LeaseHeld : another process runs the product's streams
    StepFailed : a stream broke; what it had done is kept, and the same command goes on from there
    """
    home = opened(settings)
    settings = replace(settings, data=settings.data or product_file(folder).parent)
    with contextlib.closing(home.ledger()) as ledger:
        product = checked(load(folder))
        sources = streamed(product)
        with lease(stream_lease(home, product), f"{product.name} (stream)"):
            ws = Workspace(product, home, ledger, settings, run_id=new_run_id())
            engines = [Engine(product, source, home, ws.run_id, publish_s) for source in sources]
            feed = Feed(home.live(product.name))
            for engine in engines:
                engine.onlookers = (*engine.onlookers, Live(feed, engine))
            queries = [started(ws.spark, engine, home, settings, once=once, every_s=every_s) for engine in engines]
            began = time.monotonic()
            with _asked_to_stop() as asked:
                _wait(queries, engines, asked, seconds, once, told)
            for engine in engines:
                engine.end() if end else engine.finish()
            return document(engines, time.monotonic() - began)


def streamed(product: Product) -> list[Source]:
    """Return the product's stream sources."""
    found = [one for one in product.sources.values() if isinstance(one.connection, CHANNELLED)]
    if not found:
        raise DeclarationProblem(
            f"Product '{product.name}' has no stream.",
            fix="Declare a source with cd.stream(...), cd.kafka(...), cd.folder(...) or cd.socket(...).",
            where=str(product.where),
        )
    return found


def stream_lease(home: Home, product: Product) -> Path:
    """Return the file whose lock is held while the product's streams run."""
    return home.lease(f"{product.name}.stream")


def started(spark: SparkSession, engine: Engine, home: Home, settings: Settings, *, once: bool, every_s: float) -> StreamingQuery:
    """Start the query of one source."""
    from caudal.stages.ingest.streams import frame

    connection: Any = engine.source.connection
    place = home.stream(engine.product.name, engine.source.name)
    messages = frame(spark, connection, place, data=settings.data, max_blocks=MESSAGES[connection.wire])
    writer = messages.writeStream.queryName(f"{engine.product.name}.{engine.source.name}").foreachBatch(engine.batch)
    writer = writer.option("checkpointLocation", str(place / "checkpoint"))
    writer = writer.trigger(availableNow=True) if once else writer.trigger(processingTime=f"{round(every_s * 1000)} milliseconds")
    return writer.start()


def document(engines: list[Engine], seconds: float) -> dict[str, Any]:
    """Return what the streams have done, JSON-ready; counts are those since each stream's beginning."""
    said = {}
    for engine in engines:
        states = engine.memory.states
        said[engine.source.name] = {
            "batches": engine.memory.batch + 1,
            **engine.memory.counts,
            "tables": {
                name: {"readings": one.readings, "duplicates": one.duplicates, "late": one.late, "open_windows": len(one.open)}
                for name, one in states.items()
            },
        }
    return {"product": engines[0].product.name, "seconds": round(seconds, 3), "sources": said}


def _wait(
    queries: list[StreamingQuery],
    engines: list[Engine],
    asked: threading.Event,
    seconds: float | None,
    once: bool,
    told: Callable[[list[Engine]], None],
) -> None:
    """Wait until a query breaks, all have ended, time is up, or somebody asks to stop."""
    until = None if seconds is None else time.monotonic() + seconds
    try:
        while not asked.is_set() and (until is None or time.monotonic() < until):
            asked.wait(_LOOK_S)
            for query in queries:
                if (error := query.exception()) is not None:
                    raise _broken(query, error)
            if all(not query.isActive for query in queries):
                return
            told(engines)
    finally:
        for query in queries:
            query.stop()


def _broken(query: StreamingQuery, error: Exception) -> Exception:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return StepFailed(
        f"The stream '{query.name}' broke: {said}",
        fix="What it had done is kept: the same command goes on from there.",
        step=query.name,
    )


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set, while they would otherwise end the process."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    old = {one: signal.signal(one, lambda *_: asked.set()) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for one, handler in old.items():
            signal.signal(one, handler)
