"""Write, audit, publish in one pass: rows are judged while they are written; then both tables are committed, or neither is seen.

The order of events is what makes a kill harmless. (1) Spark writes into a folder of this run that no version names. (2) The
quarantine is committed. (3) The table is committed; its commit carries what the ledger has to record. (4) The ledger is written.
A run that dies before (3) leaves files that ``sweep`` removes; after one that dies before (4), the next run records its result (``adopt``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pyspark.sql import functions as F
from pyspark.sql.types import DateType, NullType, StringType, StructField, StructType, TimestampType

from caudal.batch.step import StepResult
from caudal.declarations.node import Node
from caudal.engine.known_schema import with_known_schema
from caudal.engine.marks import marked_schema
from caudal.errors import StepFailed
from caudal.graph.registered import kind_of
from caudal.ledger.json_ready import json_ready, text_or_number
from caudal.ledger.records import profiles
from caudal.ledger.rows import ExpectationDocument, LineageDocument, StepDetail
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_spark import RunSpark
from caudal.stages.enforce.judging import judge
from caudal.storage import delta
from caudal.storage.place import Place, move, remove

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType

    from caudal.stages.enforce.judging.judge import JudgedFrame
    from caudal.stages.enforce.judging.outcome import CheckResult, JudgingOutcome

GOOD, BAD = "_verdict=good", "_verdict=quarantined"  # the folders of rows that were written, by verdict
JUDGED = ("_reasons", "_raw", "_verdict", "_format_errors")
Replace = Literal["all", "none"] | set[str | None] | frozenset[str]


@dataclass(frozen=True)
class Origin:
    """What a published version is made of: the step's code, its inputs' versions and, for a source, its files.

    ``segments`` are all files of the new version, ``fresh`` those that this step read. ``version_files`` names what belongs to it beside its rows;
    ``reads`` says what the function read beside its inputs; ``let_in`` describes the undeclared columns, for the next reading;
    ``look_back`` says how far back the function looks, for the next building.
    """

    step: str
    code: str
    fingerprint: str
    inputs: Mapping[str, int]
    segments: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    rows_read: int | None = None
    version_files: Mapping[str, str] = field(default_factory=dict)
    reads: Mapping[str, Any] = field(default_factory=dict)
    let_in: tuple[Mapping[str, Any], ...] | None = None
    look_back: Mapping[str, Any] | None = None


def publish(
    record: RunRecord, tables: ProductTables, spark: RunSpark, node: Node, frame: DataFrame, origin: Origin, replace: Replace, detail: StepDetail,
    lineage: LineageDocument | None = None, notes: Callable[[Place], StepDetail] = lambda _: {}, own: Sequence[DataFrame] = (),
) -> StepResult:  # fmt: skip
    """Publish a frame as the next version of the node's table, and the rows that fail its expectations in its quarantine; return the step's result.

    Parameters
    ----------
    own : as of `judge_and_write`

    Raises
    ------
    EngineLacks : the engine is not known to give Spark's rows, and Spark can compute them instead; nothing is published
    ExpectationStopped : an expectation that stops was broken; nothing is published
    """
    stage = tables.folder(node.name) / record.stage(origin.step)
    judged, unequal = judge_and_write(spark, tables, node, storable(frame, node, tables.product.tz), stage, origin.fresh, own)
    outcome = _judgement_of(record, node, judged, stage)
    further_detail: StepDetail = {**detail, **notes(stage / GOOD)}
    if unequal:
        further_detail["notes"] = [*further_detail.get("notes", ()), *unequal]
    record.check_claim()
    schema, identity = _schema(judged.frame, node), _identity(record, origin)
    files = delta.staged(tables.folder(node.name), stage / GOOD)
    _publish_quarantine(tables, node, stage, schema, _replace_in_quarantine(replace, node, origin), identity)
    result = _step_result(node, origin, outcome, files, further_detail, lineage)
    version = delta.commit(
        tables.folder(node.name), files, schema, partitioned=node.partition is not None, replace=replace,
        identity={**identity, "done": _result_as_json(result)},
    )  # fmt: skip
    return _with_version(result, version)


def adopt(folder: Place, fingerprint: str) -> StepResult | None:
    """Return the result that the table's newest commit carries, when it has this fingerprint: its run died before it wrote the ledger."""
    number = delta.version_of(folder)
    if number is None:
        return None
    identity_of_commit = delta.identity(folder, number)
    if identity_of_commit.get("fingerprint") != fingerprint or "done" not in identity_of_commit:
        return None
    fields = dict(identity_of_commit["done"])
    fields["checks"] = tuple(fields.get("checks", ()))
    return _with_version(StepResult(**fields), number)


def day_of(frame: DataFrame, node: Node, tz: str) -> Column:
    """Return the event-time day of each row, in the product's time zone."""
    assert node.event_time is not None
    event_time = F.col(node.event_time)
    if isinstance(frame.schema[node.event_time].dataType, TimestampType):
        event_time = F.from_utc_timestamp(event_time, tz)
    return F.to_date(event_time)


def judge_and_write(
    spark: RunSpark,
    tables: ProductTables,
    node: Node,
    frame: DataFrame,
    stage: Place,
    fresh: Sequence[str] = (),
    own: Sequence[DataFrame] = (),
) -> tuple[JudgedFrame, list[str]]:
    """Return the judged rows, and why the engine is not known to give Spark's; they are written to a folder that no version names yet.

    Parameters
    ----------
    fresh : the values of ``_segment`` of a table that is made file by file, where they are known
    own : parts of the frame that caudal itself makes by functions that no list of equal ones holds, such as the rows of raw files

    Raises
    ------
    EngineLacks : as of `RunSpark.prepared`
    """
    unequal: dict[str, None] = {}

    def prepare(frame: DataFrame) -> DataFrame:
        prepared_frame, sentence = spark.prepared(frame, f"{'Source' if _is_from_raw(node) else 'Table'} '{node.name}'", own)
        unequal.update({} if sentence is None else {sentence: None})
        return prepared_frame

    other_tables = {name: tables.frame(frame.sparkSession, name) for expectation in node.expect for name in expectation.tables}
    judged = judge(
        frame, node.expect, others=other_tables, day=delta.DAY if node.partition else None, table=node.name, tz=tables.product.tz
    )
    partition_columns = [*(["_segment"] if node.by_file else []), *([delta.DAY] if node.partition else [])]
    judged.write(stage, partition_columns, segments=fresh if node.by_file else (), prepare=prepare)
    return judged, [*unequal]


def _judgement_of(record: RunRecord, node: Node, judged: JudgedFrame, stage: Place) -> JudgingOutcome:
    """Return the results of the expectations.

    Raises
    ------
    ExpectationStopped : one that stops was broken; what was written is gone
    """
    history = record.ledger.find(profiles, product=record.product_name, table=node.name, newest=True, limit=30)[::-1]
    outcome = judged.outcome(written=stage, history=history, now=record.clock())
    if outcome.stop is not None:
        remove(stage)
        outcome.stop.checks = tuple(_check(check) for check in outcome.checks)  # the run's page shows them
        raise outcome.stop
    return outcome


def _identity(record: RunRecord, origin: Origin) -> dict[str, Any]:
    """Return the description of a commit: its run, its step, and the code and inputs of its rows."""
    return {
        "run_id": record.run_id, "step": origin.step, "code": origin.code, "fingerprint": origin.fingerprint, "inputs": dict(origin.inputs),
        "segments": list(origin.segments), "at": record.clock(), **({"kept": dict(origin.version_files)} if origin.version_files else {}),
        **({"reads": dict(origin.reads)} if origin.reads else {}),
        **({} if origin.let_in is None else {"let_in": list(origin.let_in)}),
        **({} if origin.look_back is None else {"look_back": dict(origin.look_back)}),
    }  # fmt: skip


def _publish_quarantine(
    tables: ProductTables, node: Node, stage: Place, schema: Mapping[str, Any], replace: Replace, identity: Mapping[str, Any]
) -> None:
    """Commit the rows that failed; without any, commit that the quarantine is empty."""
    folder = tables.quarantine(node.name)
    files = _move_quarantined(stage / BAD, folder / stage.name, folder)
    if files or delta.version_of(folder) is not None:
        delta.commit(
            folder, files, _quarantine_schema(schema), partitioned=node.partition is not None, replace=replace, identity=identity
        )


def _step_result(
    node: Node, origin: Origin, outcome: JudgingOutcome, files: Sequence[delta.DataFile], detail: StepDetail,
    lineage: LineageDocument | None,
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


def storable(frame: DataFrame, node: Node, tz: str) -> DataFrame:
    """Return the frame as it can be stored: no duplicate column, none without a type, with its day and segment."""
    if not _is_from_raw(node) and frame.columns.count("_file") > 1:  # both sides of a join brought their file along
        frame = frame.drop("_file")
    duplicates = sorted(name for name, count in Counter(frame.columns).items() if count > 1)
    if duplicates:
        raise StepFailed(
            f"Table '{node.name}' has the column '{duplicates[0]}' twice.",
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
    untyped = {
        field.name: F.col(field.name).cast("string") for field in frame.schema.fields if isinstance(field.dataType, NullType)
    }
    if untyped:
        frame = frame.withColumns(untyped)
    if node.partition and delta.DAY not in frame.columns:
        frame = _with_column(frame, delta.DAY, day_of(frame, node, tz), DateType())
    if node.by_file and not _is_from_raw(node) and "_file" not in frame.columns:
        raise StepFailed(
            f"Table '{node.name}' is made file by file and has no column '_file'.",
            fix="Keep that of its input, or leave partition out.",
            where=str(node.where),
            table=node.name,
        )
    if node.by_file:
        frame = _with_column(frame, "_segment", F.col("_file"), StringType())
    return frame


def _with_column(frame: DataFrame, name: str, value: Column, type: DataType) -> DataFrame:
    """Return the frame with a column, in the place of one of its name."""
    columns = frame.schema
    frame = frame.withColumn(name, value)
    if any(column.lower() == name for column in columns.names):  # which of them is replaced is the engine's to say
        return frame
    return with_known_schema(frame, StructType([*columns.fields, StructField(name, type)]))


def _is_from_raw(node: Node) -> bool:
    """Return whether each row of a node comes from one raw file."""
    return kind_of(node).columns == "raw"


def _schema(frame: DataFrame, node: Node) -> dict[str, Any]:
    schema = json.loads(marked_schema(frame).json())
    fields = [field for field in schema["fields"] if field["name"] not in (*JUDGED, "_segment", delta.DAY)]
    if node.partition:
        fields.append({"name": delta.DAY, "type": "date", "nullable": True, "metadata": {}})
    return {"type": "struct", "fields": fields}


def _quarantine_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    reasons = {"type": "array", "elementType": "string", "containsNull": True}
    quarantine_fields = [
        {"name": "_reasons", "type": reasons, "nullable": True, "metadata": {}},
        {"name": "_raw", "type": "string", "nullable": True, "metadata": {}},
    ]
    return {"type": "struct", "fields": [*schema["fields"], *quarantine_fields]}


def _replace_in_quarantine(replace: Replace, node: Node, origin: Origin) -> Replace:
    if not _is_from_raw(node) or isinstance(replace, set):
        return replace
    if replace == "all":
        return "all"
    # A run that died between the two commits has left its files in the quarantine: they are replaced, not doubled.
    segments = replace if isinstance(replace, frozenset) else frozenset[str]()
    return segments | frozenset(f"_segment={segment}" for segment in origin.fresh)


def _move_quarantined(origin: Place, target: Place, root: Place) -> list[delta.DataFile]:
    """Move quarantined files under the quarantine's folder and return them."""
    if not origin.is_dir():
        return []
    move(origin, target)
    return delta.staged(root, target)


def _check(result: CheckResult) -> ExpectationDocument:
    return {
        "expectation": result.expectation, "kind": result.kind, "action": result.action, "rows": result.rows, "broken": result.broken,
        "passed": result.passed, "message": result.message,
    }  # fmt: skip


def _result_as_json(result: StepResult) -> dict[str, Any]:
    fields = {name: getattr(result, name) for name in result.__dataclass_fields__ if name != "output_version"}
    return dict(json_ready(fields, text_or_number))


def _with_version(result: StepResult, version: int) -> StepResult:
    return replace(result, output_version=version)
