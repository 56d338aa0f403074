"""``join:<name>``: made whole by Spark where there is no table yet or it was declared otherwise; then brought up to date as a stream does it."""

from __future__ import annotations

from caudal.batch.publish import Origin, publish
from caudal.batch.step import StepResult, skipped, waits
from caudal.batch.steps.build import versions
from caudal.declarations.join import Join
from caudal.engine.lineage import column_lineage
from caudal.errors import LeaseHeld
from caudal.graph.fingerprint import code_of, digest
from caudal.runtime.table_frame import frame_of_join
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.storage.lease import lease
from caudal.storage.sweep import sweep
from caudal.streaming.join import Joining, given_at
from caudal.streaming.sources import stream_lease
from caudal.tables.added import last_commit_with


def work(ws: Workspace, declared: Join) -> StepResult:
    """Bring a join up to date; where the product's streams are running, they do it."""
    try:
        with lease(stream_lease(ws.home, ws.product), f"{ws.product.name} (stream)"):
            return _whole(ws, declared) if _anew(ws, declared) else _further(ws, declared)
    except LeaseHeld:
        number = ws.version(declared.name)
        if number is None:
            return waits(f"no row of '{declared.name}' has been published yet; the product's streams are running, and make it")
        return skipped("the product's streams are running", output_version=number)


def _anew(ws: Workspace, declared: Join) -> bool:
    said = last_commit_with(ws.folder(declared.name), "inputs")
    return said is None or said[1]["code"] != code_of(declared)


def _whole(ws: Workspace, declared: Join) -> StepResult:
    inputs, code = versions(ws, declared), code_of(declared)
    nodes = (ws.product.nodes[declared.left], ws.product.nodes[declared.right])
    given_us = given_at(declared, nodes, [ws.folder(name) for name in declared.inputs], inputs)
    sweep(ws.folder(declared.name))
    frames = {name: ws.frame(name).alias(name) for name in declared.inputs}
    rows = frame_of_join(ws, declared, frames, given_us if declared.within_s is not None else None)
    lineage = column_lineage(rows, {name: frame.columns for name, frame in frames.items()})
    read = sum(delta.read(ws.folder(name), number).rows for name, number in inputs.items())
    origin = Origin(f"join:{declared.name}", code, digest(code, inputs), inputs, rows_read=read)
    return publish(ws, declared, rows, origin, "all", {"note": "whole table"}, lineage)


def _further(ws: Workspace, declared: Join) -> StepResult:
    joining = Joining(ws.product, declared, ws.home, ws.run_id, ws.clock)
    before = joining.counts["rows"]
    did = False
    while joining.step():
        did = True
    number = ws.version(declared.name)
    if not did:
        return skipped("up to date", output_version=number)
    return StepResult(
        inputs=joining.inputs, output_version=number, rows_written=joining.counts["rows"] - before, rows_quarantined=0
    )


STEPS = {("join", "join"): work}
