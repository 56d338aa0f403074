"""``land:<stream source>`` and what follows: a run takes what has come, once, by the same engine that a stream runs on and on."""

from __future__ import annotations

import contextlib

from caudal.batch.step import StepResult, skipped, waits
from caudal.declarations.node import Source
from caudal.declarations.statistics import Statistics
from caudal.errors import LeaseHeld
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.streaming.sources import engine_of, stream_lease


def land(ws: Workspace, source: Source) -> StepResult:
    """Capture what has come, with its statistics; where the product's streams are running, they do it."""
    try:
        with lease(stream_lease(ws.home, ws.product), f"{ws.product.name} (stream)"), contextlib.ExitStack() as open_:
            engine = engine_of(ws, source, open_)
            before = dict(engine.checkpoint.counts)
            while engine.step():
                pass
            engine.finish()
            if engine.tap.away is not None:
                raise engine.tap.away
            counts = {name: count - before.get(name, 0) for name, count in engine.checkpoint.counts.items()}
    except LeaseHeld:
        return skipped("the product's streams are running")
    if not counts.get("messages"):
        return skipped("no new message")
    return StepResult(
        rows_read=counts["samples"], detail={"messages": counts["messages"], "samples": counts["samples"], **_odd(counts)}
    )


def published(ws: Workspace, node: Source | Statistics) -> StepResult:
    """Return the version that the stream has published; what reads it waits until there is one."""
    number = ws.version(node.name)
    if number is None:
        return waits(f"no row of '{node.name}' has been published yet; send some (caudal replay plays a simulator or a recording)")
    said = delta.identity(ws.folder(node.name), number)
    return skipped(f"published by the stream, up to micro-batch {said.get('upto', '?')}", output_version=number)


def _odd(counts: dict[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in ("unreadable_messages", "outside") if counts.get(name)}


STEPS = {("stream source", "land"): land, ("stream source", "read"): published, ("statistics", "statistics"): published}
