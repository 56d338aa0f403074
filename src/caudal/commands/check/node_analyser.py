"""Analysis of one node by one engine: its function or query runs on an empty frame, and features are tested for use of future rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from pyspark.errors import PySparkException
from pyspark.sql.types import StructType

from caudal.batch.on_engine import is_refused, reason_to_leave
from caudal.commands.check.headers import files_are_here, is_declared, schema_of_files
from caudal.commands.check.missing_columns import problems_of_missing_columns
from caudal.commands.check.node_verdicts import Columns, NodeVerdict, comes_from_images
from caudal.declarations.build_context import build_context
from caudal.declarations.node import Features, Node, Source, Table
from caudal.declarations.product import Product
from caudal.declarations.schema import Schema
from caudal.declarations.settings import Settings
from caudal.engine.classic import CLASSIC
from caudal.engine.exact import common_magnitudes
from caudal.engine.marks import marked_schema
from caudal.engine.origins import FeatureOrigins, collected_origins, fields_found_by, unmarked
from caudal.engine.protocol import unequal_rows
from caudal.engine.reader import record_reads
from caudal.errors import CaudalError, DeclarationProblem
from caudal.graph.reads import Reads, Recorder
from caudal.runtime.opening import open_home
from caudal.runtime.product_tables import mark_event_time
from caudal.runtime.progress import NoProgress
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.table_frame import frame_of, translate_table_error
from caudal.stages.features.future import InputShape, sees_future
from caudal.stages.ingest.cast import spark_type
from caudal.tables.frames import empty_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from caudal.engine.protocol import QueryEngine

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Analysis:
    """What an engine has found of a node.

    Attributes
    ----------
    verdict : the node's columns; None where they are not known
    problems : what is wrong with its function or query
    refused : why the engine refused what Spark may do
    unequal : the sentence that the engine is not known to compute the node's rows as Spark does
    unread : whether there is a file that the engine could not read
    foresight : the features see the future, or could not be tested
    needs_spark : sentences on what is left to Spark, where that is not installed
    reads : what the function read while it ran
    """

    verdict: NodeVerdict | None = None
    problems: list[CaudalError] = field(default_factory=list)
    refused: str | None = None
    unequal: str | None = None
    unread: bool = False
    foresight: list[CaudalError] = field(default_factory=list)
    needs_spark: list[str] = field(default_factory=list)
    reads: list[Reads] = field(default_factory=list)

    @property
    def is_doubtful(self) -> bool:
        """Whether an engine other than Spark leaves something to be asked of Spark: also errors, for those of a run are Spark's."""
        return bool(self.problems or self.foresight or self.unread) or self.left_to_spark is not None

    @property
    def left_to_spark(self) -> str | None:
        """Why a run with the engine ``auto`` has Spark do the node's step; None if it need not."""
        return self.refused or self.unequal


class NodeAnalyser:
    """Analyses nodes with an engine, which starts on first use."""

    def __init__(self, product: Product, settings: Settings, engine: QueryEngine) -> None:
        self.product, self.settings, self.engine = product, settings, engine
        self.is_spark = engine is CLASSIC

    def analyse(self, node: Node, columns: Mapping[str, Columns]) -> Analysis:
        """Return what the engine finds of a node.

        Parameters
        ----------
        columns : those of the node's inputs, by name
        """
        with self.engine.speaking():
            try:
                source = self.product.sources.get(node.name)
                return self.table(self.product.tables[node.name], columns) if source is None else self.source(source)
            except CaudalError as error:
                if not self.is_spark and is_refused(error):
                    return Analysis(refused=reason_to_leave(error))
                return Analysis(
                    problems=[
                        DeclarationProblem(error.what, where=error.where, fix=error.fix, nearest=error.nearest, table=node.name)
                    ]
                )

    def source(self, source: Source) -> Analysis:
        """Return a source's columns: those declared, else those of its newest file; None where neither exists."""
        schema = source.schema if source.schema is not None and source.schema.names else None
        file: str | None = None
        has_files = not is_declared(source) and files_are_here(source, self.settings.data)
        if has_files and (read := schema_of_files(self._spark, source, self.settings.data, self.product.tz)) is not None:
            schema, file = read
        unread = has_files and file is None
        if schema is None:
            return Analysis(unread=unread)
        remarks = () if file is None else (f"Columns of '{source.name}' read from {file}.",)
        return Analysis(NodeVerdict(_source_columns(self._spark, schema), file, remarks=remarks), unread=unread)

    def table(self, table: Table, columns: Mapping[str, Columns]) -> Analysis:
        """Return the columns that a table's function or query gives for empty frames, what it fits, and whether its features see the future."""
        analysis = Analysis()
        features = self.product.feature_tables.get(table.name)
        collecting = nullcontext(FeatureOrigins()) if features is None else collected_origins()
        # Common magnitudes: smaller plans with the same columns; no sums are computed.
        with build_context() as context, common_magnitudes(), collecting as origins:
            frames = self._frames(table, columns)
            frame = self._record_reads(analysis.reads, frame_of, self.product, self._spark, table, frames)
            try:
                frame.schema  # noqa: B018 — Sail analyses a frame when its columns are asked for
            except PySparkException as error:
                raise translate_table_error(error, table) from error
            marked = marked_schema(frame)
        found = {name: [*fields_found_by(origin)] for name, origin in origins.of(marked).items()}
        schema = marked.jsonValue()
        for column in schema["fields"]:
            column["metadata"] = unmarked(column["metadata"])
        analysis.verdict = NodeVerdict(schema, fits=tuple(sorted(context.fit_names)), origins=found)
        if not self.is_spark:
            _, parts = self.engine.prepared(frame, own=list(frames.values()))
            analysis.unequal = unequal_rows(self.engine, parts) if parts else None
        # Not tested: features of images, for random bytes are no images, and features without as_of, which have no time.
        if features is None or not features.as_of or comes_from_images(self.product, table.name):
            return analysis
        if not problems_of_missing_columns(self.product, table, frame.columns):
            analysis.foresight = self.foresight(features, columns, frame, analysis.reads)
        return analysis

    def foresight(
        self, features: Features, columns: Mapping[str, Columns], frame: DataFrame, reads: list[Reads]
    ) -> list[CaudalError]:
        """Return the problems of features that see the future; add what their function read to ``reads``."""
        return self._record_reads(reads, _foresight, self.product, self._spark, features, self._frames(features, columns), frame)

    def _frames(self, table: Table, columns: Mapping[str, Columns]) -> dict[str, DataFrame]:
        return {
            name: mark_event_time(empty_frame(self._spark, StructType.fromJson(columns[name])), self.product.nodes[name])
            for name in table.inputs
        }

    def _record_reads(self, reads: list[Reads], function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        recorder = Recorder(include_caudal=False)
        with record_reads(recorder.note_path, recorder.reads.unseen.add):
            try:
                return recorder.call(function, *args, **kwargs)
            finally:
                reads.append(recorder.reads)

    @cached_property
    def _spark(self) -> SparkSession:
        home = open_home(self.settings)
        run_spark = RunSpark(self.product, self.settings, home.lake, NoProgress(), is_brief=lambda: True)
        with run_spark.on(self.engine):
            return run_spark.session


def _source_columns(spark: SparkSession, schema: Schema) -> Columns:
    """Return the columns of a source's table."""
    assert spark is not None  # Spark parses the names of types
    ddl = ", ".join([*(f"`{column.name}` {spark_type(column.type)}" for column in schema), "_file string"])
    return cast(Columns, StructType.fromDDL(ddl).jsonValue())


def _foresight(
    product: Product, spark: SparkSession, node: Features, frames: dict[str, DataFrame], empty_result: DataFrame
) -> list[CaudalError]:
    assert node.function is not None
    shapes = {}
    for name in node.inputs:
        input_node = product.nodes[name]
        known_times = dict(input_node.known)
        shapes[name] = InputShape(schema=frames[name].schema, event_time=input_node.event_time, known=known_times)
    try:
        leak = sees_future(
            node.function, shapes, as_of=node.as_of, entity=node.entity, ignore=(*node.labels, *node.keep), spark=spark, seed=0, empty_result=empty_result
        )  # fmt: skip
    except CaudalError as error:  # the function fails on random rows: reported as a problem of the declaration
        error.where = error.where or str(node.where)
        return [error]
    if leak is None:
        return []
    return [
        DeclarationProblem(
            f"Features '{node.name}' see the future: {leak.message}",
            fix=leak.fix,
            where=str(node.where),
            table=node.name,
            column=leak.column,
        )
    ]
