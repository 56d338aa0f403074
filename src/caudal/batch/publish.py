"""Write, audit, publish in one pass: rows are judged while they are written; then both tables are committed, or neither is seen.

The order of events is what makes a kill harmless. (1) Spark writes into a folder of this run that no version names. (2) The
quarantine is committed. (3) The table is committed; its commit carries all that the ledger is to know. (4) The ledger is told.
A run that dies before (3) leaves files that ``sweep`` takes away; one that dies before (4) is brought back in step by ``adopt``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pyspark.sql import functions as F
from pyspark.sql.types import NullType, TimestampType

from caudal.batch.step import StepResult
from caudal.declarations.node import Node
from caudal.errors import StepFailed
from caudal.graph.registered import kind_of
from caudal.ledger.json_ready import json_ready, text_or_number
from caudal.ledger.records import profiles
from caudal.runtime.workspace import Workspace
from caudal.stages.enforce.judging import judge
from caudal.storage import delta
from caudal.storage.place import Place, move, remove

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from caudal.stages.enforce.judging.judge import Judged
    from caudal.stages.enforce.judging.outcome import Outcome

GOOD, BAD = "_verdict=good", "_verdict=quarantined"  # the folders of rows that were written, by verdict
JUDGED = ("_reasons", "_raw", "_verdict", "_format_errors")
Replace = Literal["all", "none"] | set[str | None] | frozenset[str]


@dataclass(frozen=True)
class Origin:
    """What a published version is made of: the step's code, its inputs' versions and, for a source, its files.

    ``segments`` are all files of the new version, ``fresh`` those that this step read. ``kept`` names what belongs to it beside its rows;
    ``reads`` says what the function read beside its inputs; ``let_in`` the columns that nobody declared, as the next reading is to be told of them.
    """

    step: str
    code: str
    fingerprint: str
    inputs: Mapping[str, int]
    segments: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    rows_read: int | None = None
    kept: Mapping[str, str] = field(default_factory=dict)
    reads: Mapping[str, Any] = field(default_factory=dict)
    let_in: tuple[Mapping[str, Any], ...] | None = None


def publish(
    ws: Workspace, node: Node, frame: DataFrame, origin: Origin, replace: Replace, detail: Mapping[str, Any],
    lineage: Mapping[str, Any] | None = None, notes: Callable[[Place], Mapping[str, Any]] = lambda _: {},
) -> StepResult:  # fmt: skip
    """Write ``frame`` as the next version of the node's table, failing rows as that of its quarantine, and say what was done.

    Raises
    ------
    ExpectationStopped : an expectation that stops was broken; nothing is published
    """
    stage = ws.folder(node.name) / f"part-{ws.run_id}-{origin.step.replace(':', '-')}"
    judged = _written(ws, node, _clean(frame, node, ws), origin, stage)
    outcome = _audited(ws, node, judged, stage)
    noted = notes(stage / GOOD)
    ws.held()
    schema, identity = _schema(judged.frame, node), _identity(ws, origin)
    files = delta.staged(ws.folder(node.name), stage / GOOD)
    _publish_quarantine(ws, node, stage, schema, _of_quarantine(replace, node, origin), identity)
    done = _done(node, origin, outcome, files, {**detail, **noted}, lineage)
    version = delta.commit(
        ws.folder(node.name), files, schema, partitioned=node.partition is not None, replace=replace,
        identity={**identity, "done": _told(done)},
    )  # fmt: skip
    return _with_version(done, version)


def adopt(ws: Workspace, folder: Place, fingerprint: str) -> StepResult | None:
    """Return what the table's newest commit says was done, when it is this very work, done by a run that died before it told the ledger."""
    number = delta.version_of(folder)
    if number is None:
        return None
    said = delta.identity(folder, number)
    if said.get("fingerprint") != fingerprint or "done" not in said:
        return None
    told = dict(said["done"])
    told["checks"] = tuple(told.get("checks", ()))
    return _with_version(StepResult(**told), number)


def day_of(frame: DataFrame, node: Node, tz: str) -> Column:
    """Return the event-time day of each row, in the product's time zone."""
    assert node.event_time is not None
    moment = F.col(node.event_time)
    if isinstance(frame.schema[node.event_time].dataType, TimestampType):
        moment = F.from_utc_timestamp(moment, tz)
    return F.to_date(moment)


def _written(ws: Workspace, node: Node, frame: DataFrame, origin: Origin, stage: Place) -> Judged:
    """Return the rows, judged while they were written into a folder that no version names."""
    others = {name: ws.frame(name) for expectation in node.expect for name in expectation.tables}
    judged = judge(frame, node.expect, others=others, day=delta.DAY if node.partition else None, table=node.name, tz=ws.product.tz)
    by = [*(["_segment"] if node.by_file else []), *([delta.DAY] if node.partition else [])]
    judged.write(stage, by, segments=origin.fresh if node.by_file else ())
    return judged


def _audited(ws: Workspace, node: Node, judged: Judged, stage: Place) -> Outcome:
    """Return what became of the expectations.

    Raises
    ------
    ExpectationStopped : one that stops was broken; what was written is gone
    """
    history = ws.ledger.find(profiles, product=ws.product.name, table=node.name, newest=True, limit=30)[::-1]
    outcome = judged.outcome(written=stage, history=history, now=ws.clock())
    if outcome.stop is not None:
        remove(stage)
        outcome.stop.checks = tuple(
            _check(check) for check in outcome.checks
        )  # the run's page shows what the ledger is told of them
        raise outcome.stop
    return outcome


def _identity(ws: Workspace, origin: Origin) -> dict[str, Any]:
    """Return what a commit says of itself: of which run and step it is, and what its rows were made of."""
    return {
        "run_id": ws.run_id, "step": origin.step, "code": origin.code, "fingerprint": origin.fingerprint, "inputs": dict(origin.inputs),
        "segments": list(origin.segments), "at": ws.clock(), **({"kept": dict(origin.kept)} if origin.kept else {}),
        **({"reads": dict(origin.reads)} if origin.reads else {}),
        **({} if origin.let_in is None else {"let_in": list(origin.let_in)}),
    }  # fmt: skip


def _publish_quarantine(
    ws: Workspace, node: Node, stage: Place, schema: Mapping[str, Any], replace: Replace, identity: Mapping[str, Any]
) -> None:
    """Commit the rows that failed, or that there are none any more."""
    folder = ws.home.quarantine(ws.product.name, node.name)
    files = _moved(stage / BAD, folder / stage.name, folder)
    if files or delta.version_of(folder) is not None:
        delta.commit(
            folder, files, _quarantine_schema(schema), partitioned=node.partition is not None, replace=replace, identity=identity
        )


def _done(
    node: Node, origin: Origin, outcome: Outcome, files: Sequence[delta.DataFile], detail: Mapping[str, Any],
    lineage: Mapping[str, Any] | None,
) -> StepResult:  # fmt: skip
    return StepResult(
        fingerprint=origin.fingerprint,
        inputs=origin.inputs,
        rows_read=origin.rows_read,
        rows_written=outcome.good,
        rows_quarantined=outcome.quarantined,
        partitions=sorted({file.day or "unknown" for file in files}) if node.partition is not None else None,
        detail={**detail, "reasons": dict(outcome.reasons)},
        checks=tuple(_check(check) for check in outcome.checks),
        profile={"rows": outcome.good, "columns": json_ready(outcome.profile, text_or_number)},
        lineage=lineage,
    )


def _clean(frame: DataFrame, node: Node, ws: Workspace) -> DataFrame:
    """Return the frame fit for storing: no column twice, none without a type, with its day and segment."""
    if not _landed(node) and frame.columns.count("_file") > 1:  # both sides of a join brought their file along
        frame = frame.drop("_file")
    twice = sorted(name for name, count in Counter(frame.columns).items() if count > 1)
    if twice:
        raise StepFailed(
            f"Table '{node.name}' has the column '{twice[0]}' twice.",
            fix="Select or rename it after the join.",
            where=str(node.where),
            table=node.name,
        )
    if node.event_time and node.event_time not in frame.columns:
        raise StepFailed(
            f"Table '{node.name}' has no column '{node.event_time}', its declared event time; it has {', '.join(frame.columns)}.",
            where=str(node.where),
            table=node.name,
        )
    void = {field.name: F.col(field.name).cast("string") for field in frame.schema.fields if isinstance(field.dataType, NullType)}
    if void:
        frame = frame.withColumns(void)
    if node.partition and delta.DAY not in frame.columns:
        frame = frame.withColumn(delta.DAY, day_of(frame, node, ws.product.tz))
    if node.by_file and not _landed(node) and "_file" not in frame.columns:
        raise StepFailed(
            f"Table '{node.name}' is made file by file and has no column '_file'.",
            fix="Keep that of its input, or leave partition out.",
            where=str(node.where),
            table=node.name,
        )
    if node.by_file:
        frame = frame.withColumn("_segment", F.col("_file"))
    return frame


def _landed(node: Node) -> bool:
    """Tell whether rows come from raw files, one by one."""
    return kind_of(node).columns == "raw"


def _schema(frame: DataFrame, node: Node) -> dict[str, Any]:
    whole = json.loads(frame.schema.json())
    fields = [field for field in whole["fields"] if field["name"] not in (*JUDGED, "_segment", delta.DAY)]
    if node.partition:
        fields.append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    return {"type": "struct", "fields": fields}


def _quarantine_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    reasons = {"type": "array", "elementType": "string", "containsNull": True}
    own = [
        {"name": "_reasons", "type": reasons, "nullable": True, "metadata": {}},
        {"name": "_raw", "type": "string", "nullable": True, "metadata": {}},
    ]
    return {"type": "struct", "fields": [*schema["fields"], *own]}


def _of_quarantine(replace: Replace, node: Node, origin: Origin) -> Replace:
    if not _landed(node) or isinstance(replace, set):
        return replace
    if replace == "all":
        return "all"
    # A run that died between the two commits has left its files in the quarantine: they are replaced, not doubled.
    gone = replace if isinstance(replace, frozenset) else frozenset[str]()
    return gone | frozenset(f"_segment={one}" for one in origin.fresh)


def _moved(origin: Place, target: Place, root: Place) -> list[delta.DataFile]:
    """Move quarantined files under the quarantine's folder and return them."""
    if not origin.is_dir():
        return []
    move(origin, target)
    return delta.staged(root, target)


def _check(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("expectation", "kind", "action", "rows", "broken", "passed", "message")}


def _told(done: StepResult) -> dict[str, Any]:
    told = {name: getattr(done, name) for name in done.__dataclass_fields__ if name != "output_version"}
    return dict(json_ready(told, text_or_number))


def _with_version(done: StepResult, version: int) -> StepResult:
    return replace(done, output_version=version)
