"""``land:<stream source>`` and the steps after it: a run processes the messages that are available once, by the streams' engine."""

from __future__ import annotations

import contextlib

from caudal.batch.step import StepResult, skipped, waits
from caudal.declarations.node import Source
from caudal.declarations.statistics import Statistics
from caudal.errors import LeaseHeld
from caudal.ledger.rows import StepDetail
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.streaming.sources import engine_of, stream_lease


def capture_messages(ws: Workspace, source: Source) -> StepResult:
    """Capture the available messages and their statistics, unless the product's streams are running, which do so themselves."""
    try:
        with lease(stream_lease(ws.tables.home, ws.product), f"{ws.product.name} (stream)"), contextlib.ExitStack() as open_:
            engine = engine_of(ws, source, open_)
            before = dict(engine.checkpoint.counts)
            while engine.step():
                pass
            engine.finish()
            if engine.tap.unavailable is not None:
                raise engine.tap.unavailable
            counts = {name: count - before.get(name, 0) for name, count in engine.checkpoint.counts.items()}
    except LeaseHeld:
        return skipped("the product's streams are running")
    if not counts.get("messages"):
        return skipped("no new message")
    detail: StepDetail = {"messages": counts["messages"], "samples": counts["samples"]}
    if counts.get("unreadable_messages"):
        detail["unreadable_messages"] = counts["unreadable_messages"]
    if counts.get("outside"):
        detail["outside"] = counts["outside"]
    return StepResult(rows_read=counts["samples"], detail=detail)


def published_version(ws: Workspace, node: Source | Statistics) -> StepResult:
    """Return the version that the stream has published, or that the step waits for the first."""
    number = ws.tables.version(node.name)
    if number is None:
        return waits(f"no row of '{node.name}' has been published yet; send some (caudal replay plays a simulator or a recording)")
    identity = delta.identity(ws.tables.folder(node.name), number)
    return skipped(f"published by the stream, up to micro-batch {identity.get('upto', '?')}", output_version=number)


STEPS = {
    ("stream source", "land"): capture_messages,
    ("stream source", "read"): published_version,
    ("statistics", "statistics"): published_version,
}
