"""A product's stream sources, the engine of each, and the lock that a process holds while it runs them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import ModuleType

from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.registered import declarations_of_kind
from caudal.kinds import EXECUTORS
from caudal.runtime.workspace import Workspace
from caudal.stages.ingest.streams import open_tap
from caudal.streaming.checkpoint import newest
from caudal.streaming.engine import StreamEngine
from caudal.streaming.executor import EngineRequest
from caudal.streaming.outlets import sender_of
from caudal.streaming.rows import event_sources
from caudal.streaming.workers import StreamWorkers
from caudal.tables.home import Home


def stream_sources(product: Product) -> list[Source]:
    """Return the product's stream sources; none where only topics of rows are streamed.

    Raises
    ------
    DeclarationProblem : the product has nothing that can be streamed
    """
    sources: list[Source] = declarations_of_kind(product, "stream source")
    if not sources and not event_sources(product):
        raise DeclarationProblem(
            f"Product '{product.name}' has no stream.",
            fix="Declare a source with cd.stream(...), cd.kafka(...), cd.folder(...) or cd.socket(...), or a topic of rows with cd.events(...).",
            where=str(product.where),
        )
    return sources


def stream_lease(home: Home, product: Product) -> Path:
    """Return the file whose lock is held while the product's streams run."""
    return home.lease(f"{product.name}.stream")


def executor_of(name: str) -> ModuleType:
    """Return the executor of a name.

    Raises
    ------
    DeclarationProblem : there is none
    """
    if name not in EXECUTORS:
        raise DeclarationProblem(
            f"There is no stream executor '{name}'.", nearest=nearest(name, EXECUTORS), fix=f"Known: {', '.join(EXECUTORS)}."
        )
    executor: ModuleType = EXECUTORS[name]
    return executor


def executor_that_computes(home: Home, product: Product, source: Source) -> ModuleType:
    """Return the executor that has computed a source's stream until now, ``here`` for a new one."""
    return executor_of(newest(home.stream(product.name, source.name) / "memory").executor)


def stream_connectors(home: Home, product: Product) -> frozenset[str]:
    """Return the connectors that Spark needs where a run takes what streams have not taken."""
    sources: list[Source] = declarations_of_kind(product, "stream source")
    return frozenset().union(*(executor_that_computes(home, product, source).connectors([source]) for source in sources))


def engine_of(
    ws: Workspace,
    source: Source,
    open_: contextlib.ExitStack,
    publish_s: float = 5.0,
    on: str | None = None,
    every_s: float = 0.1,
    stream_workers: StreamWorkers | None = None,
) -> StreamEngine:
    """Return a source's engine; its tap stays open until ``open_`` closes.

    Parameters
    ----------
    stream_workers : the processes that compute large micro-batches; without them this one does
    on : the name of an executor; None: the one that has computed the stream until now, ``here`` for a new one
    """
    place = ws.tables.home.stream(ws.product.name, source.name)
    tap = open_tap(source.connection, place, ws.settings.data)
    request = EngineRequest(
        ws, source, tap, lambda outlet: sender_of(outlet, ws.product.name, ws.settings.data or Path.cwd()), publish_s, every_s,
        stream_workers or StreamWorkers(1),
    )  # fmt: skip
    executor = executor_of(on) if on is not None else executor_that_computes(ws.tables.home, ws.product, source)
    engine: StreamEngine = executor.engine(request)
    open_.callback(engine.close)
    return engine
