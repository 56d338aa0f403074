"""A product's stream sources, the engine of each, and the lock that a process holds while it runs them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from caudal.declarations.connection import CHANNELLED
from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.runtime.workspace import Workspace
from caudal.streaming.engine import Engine, Platform
from caudal.streaming.outlets import sender_of
from caudal.tables.home import Home


def stream_sources(product: Product) -> list[Source]:
    """Return the product's stream sources."""
    sources = [source for source in product.sources.values() if isinstance(source.connection, CHANNELLED)]
    if not sources:
        raise DeclarationProblem(
            f"Product '{product.name}' has no stream.",
            fix="Declare a source with cd.stream(...), cd.kafka(...), cd.folder(...) or cd.socket(...).",
            where=str(product.where),
        )
    return sources


def stream_lease(home: Home, product: Product) -> Path:
    """Return the file whose lock is held while the product's streams run."""
    return home.lease(f"{product.name}.stream")


def engine_of(
    ws: Workspace,
    source: Source,
    open_: contextlib.ExitStack,
    publish_s: float = 5.0,
    platform: Platform = "here",
) -> Engine:
    """Return a source's engine; its tap stays open until ``open_`` closes."""
    from caudal.stages.ingest.streams import batch
    from caudal.stages.ingest.streams.tap import tap

    place = ws.home.stream(ws.product.name, source.name)
    opened_tap = tap(source.connection, place, ws.settings.data)
    engine = Engine(
        ws.product, source, ws.home, opened_tap, ws.run_id, publish_s, platform=platform,
        frame=lambda start, end: batch(ws.spark, source.connection, place, start, end),
        way_out=lambda outlet: sender_of(outlet, ws.product.name, ws.settings.data or Path.cwd()),
    )  # fmt: skip
    open_.callback(engine.close)
    return engine
