"""Analysis of a product by Spark: functions, queries and expectations run on empty frames, and features are tested for use of future rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from pyspark.errors import PySparkException
from pyspark.sql.types import StructType

from caudal.batch.on_engine import is_refused, reason_to_leave
from caudal.commands.check.headers import Note, files_are_here, is_declared, schema_of_files
from caudal.commands.check.node_verdicts import Columns, NodeVerdict, NodeVerdicts, comes_from_images
from caudal.declarations.build_context import build_context
from caudal.declarations.known import known_of
from caudal.declarations.location import Location
from caudal.declarations.node import Features, Node, Source, Table
from caudal.declarations.product import Product
from caudal.declarations.schema import Schema
from caudal.declarations.settings import Settings
from caudal.engine.choice import analysing_engine
from caudal.engine.classic import CLASSIC
from caudal.engine.exact import common_magnitudes
from caudal.engine.protocol import unequal_rows
from caudal.engine.reader import record_reads
from caudal.errors import CaudalError, DeclarationProblem, nearest
from caudal.graph.build import build
from caudal.graph.check_holdouts import problems_of_column_types, problems_of_fits
from caudal.graph.check_models import problems_of_model_columns
from caudal.graph.check_monitors import problems_of_monitor_columns
from caudal.graph.reads import Reads, Recorder
from caudal.graph.registered import kind_of
from caudal.runtime.opening import open_home
from caudal.runtime.product_tables import mark_event_time
from caudal.runtime.progress import NoProgress
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.table_frame import frame_of, translate_table_error
from caudal.stages.enforce.declared import DeclaredExpectation
from caudal.stages.features.future import InputShape, sees_future
from caudal.stages.ingest.cast import spark_type
from caudal.tables.frames import empty_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from caudal.engine.protocol import QueryEngine

P = ParamSpec("P")
R = TypeVar("R")


def analyse(
    product: Product,
    settings: Settings,
    note: Note = lambda _: None,
    files: Mapping[str, object] | None = None,
    needs_spark: Note = lambda _: None,
) -> list[CaudalError]:
    """Return the problems that Spark's analyser finds in functions, queries and expectations, and features that see the future.

    Stored results of unchanged nodes without problems are used again; Spark starts only when a node must be analysed. Where Spark is not
    installed, Sail analyses in its place, each node anew.

    Parameters
    ----------
    note : called with each remark
    needs_spark : called with each step that needs Spark, where that is not installed, and the reason
    files : by source without a full schema, what identifies the files that its columns may be read from
    """
    engine = analysing_engine()
    with engine.speaking():
        return _analyse(_Analyser(product, settings, engine), note, needs_spark, files)


def _analyse(analyser: _Analyser, note: Note, needs_spark: Note, files: Mapping[str, object] | None) -> list[CaudalError]:
    product, settings = analyser.product, analyser.settings
    verdicts = NodeVerdicts(product, files or {}, settings.spark)
    columns: dict[str, Columns] = {}
    fits: dict[str, tuple[str, ...]] = {}
    problems: list[CaudalError] = []
    unknown: list[str] = []
    sources, tables, features_of = product.sources, product.tables, product.feature_tables
    for name in [name for name in build(product).order() if name in product.nodes]:
        node, features = product.nodes[name], features_of.get(name)
        if any(
            input_ not in columns for input_ in node.inputs
        ):  # the columns of an input are unknown, so this node cannot be analysed
            continue
        key = verdicts.key(node, columns)
        verdict = verdicts.find(key) if analyser.on_spark else None
        reads: list[Reads] = []
        if name in sources:
            result = verdict or analyser.source(sources[name])
            if result is None:
                unknown.append(name)
                continue
            if result.file is not None:
                note(f"Columns of '{name}' read from {result.file}.")
            problems += _missing_columns(node, _names(result.columns))
        else:
            try:
                result = verdict or analyser.table(tables[name], columns, reads)
                analyser.compare(tables[name], note, needs_spark)
            except CaudalError as error:
                if (reason := analyser.refusal(error)) is not None:
                    needs_spark(
                        f"Step '{node.kind}:{name}' needs Spark: {reason.rstrip('.')}. What reads '{name}' was not analysed."
                    )
                    continue
                problems.append(DeclarationProblem(error.what, where=error.where, fix=error.fix, nearest=error.nearest, table=name))
                continue
            missing = list(_missing_columns(node, _names(result.columns)))
            if features is not None:
                missing += problems_of_model_columns(product, features, _names(result.columns))
            problems += missing
            if missing:
                continue
        columns[name], fits[name] = result.columns, result.fits
        # Not tested: features of images, for random bytes are no images, and features without as_of, which have no time.
        foresight: list[CaudalError] = []
        if verdict is None and features is not None and features.as_of and not comes_from_images(product, name):
            foresight = analyser.foresight(features, columns, reads)
            untested = None if analyser.on_spark else next(filter(None, map(reason_to_leave, foresight)), None)
            if untested is None:
                problems += foresight
            else:
                note(f"Features '{name}' were not tested for use of future rows: {untested}")
        if verdict is None and analyser.on_spark and not foresight and analyser.may_be_stored(node, result):
            verdicts.keep(key, result, reads)
    names = {name: _names(fields) for name, fields in columns.items()}
    for publication in product.publications.values():
        for table in publication.tables:
            if table in names:
                problems += kind_of(publication).column_problems(publication, table, names[table])
    problems += problems_of_column_types(
        product, {name: {field["name"]: field["type"] for field in schema["fields"]} for name, schema in columns.items()}
    )
    for model in product.models.values():
        problems += problems_of_fits(model, product, fits)
    problems += _expectation_problems(product, columns)
    problems += _missing_governed_columns(product, names)
    problems += problems_of_monitor_columns(product, names)
    if unknown:
        note(
            f"The columns of {', '.join(unknown)} are known when data arrive; what reads {'it' if len(unknown) == 1 else 'them'} was not analysed."
        )
    return problems


def _names(columns: Columns) -> list[str]:
    return [str(field["name"]) for field in columns["fields"]]


def _expectation_problems(product: Product, columns: Mapping[str, Columns]) -> Iterator[CaudalError]:
    """Yield problems of expectations that do not fit their columns' types, or name columns that other tables do not have."""
    schemas = {name: StructType.fromJson(schema) for name, schema in columns.items()}
    for name, schema in schemas.items():
        for expectation in product.nodes[name].expect:
            if not isinstance(expectation, DeclaredExpectation) or not all(
                column in schema.names for column in expectation.columns
            ):
                continue  # reported already
            try:
                expectation.fits(schema)
                if all(other in schemas for other in expectation.tables):
                    expectation.fits_others(schema, schemas)
            except DeclarationProblem as error:
                error.where = error.where or str(product.nodes[name].where)
                yield error


class _Analyser:
    """Analyses nodes that have no stored verdict with an engine, which starts on first use."""

    def __init__(self, product: Product, settings: Settings, engine: QueryEngine) -> None:
        self.product, self.settings, self._engine = product, settings, engine
        self.on_spark = engine is CLASSIC
        self._frames_by_table: dict[str, DataFrame] = {}

    def source(self, source: Source) -> NodeVerdict | None:
        """Return a source's columns: those declared, else those of its newest file; None where neither exists."""
        schema, file = source.schema if source.schema is not None and source.schema.names else None, None
        if not is_declared(source) and files_are_here(source, self.settings.data):
            read_schema = schema_of_files(self._spark, source, self.settings.data, self.product.tz)
            schema, file = read_schema or (schema, None)
        return None if schema is None else NodeVerdict(_source_columns(self._spark, schema), file)

    def may_be_stored(self, node: Node, verdict: NodeVerdict) -> bool:
        """Return whether a verdict may be stored: not where a source has files here that could not be read."""
        source = self.product.sources.get(node.name)
        return source is None or is_declared(source) or verdict.file is not None or not files_are_here(source, self.settings.data)

    def table(self, table: Table, columns: Mapping[str, Columns], reads: list[Reads]) -> NodeVerdict:
        """Return the columns that a table's function or query gives for empty frames, and what it fits; add what it read to ``reads``."""
        with build_context() as context, common_magnitudes():  # smaller plans with the same columns; no sums are computed
            frame = self._record_reads(reads, frame_of, self.product, self._spark, table, self._frames(table, columns))
            try:
                schema = frame.schema.jsonValue()
            except PySparkException as error:  # Sail analyses a frame when its columns are asked for
                raise translate_table_error(error, table) from error
        self._frames_by_table[table.name] = frame
        return NodeVerdict(schema, fits=tuple(sorted(context.fit_names)))

    def compare(self, table: Table, note: Note, needs_spark: Note) -> None:
        """Tell where Sail is not known to compute the rows of a table as Spark does: with the engine ``auto`` Spark computes them."""
        if self.on_spark:
            return
        _, parts = self._engine.prepared(self._frames_by_table[table.name])
        if not parts:
            return
        sentence = unequal_rows(self._engine, parts)
        if self.settings.engine == "auto":
            needs_spark(f"Step '{table.kind}:{table.name}' needs Spark: {sentence}")
        else:
            note(f"Table '{table.name}': {sentence}")

    def refusal(self, error: CaudalError) -> str | None:
        """Return why Sail refused what Spark may do; None for other errors, and on Spark."""
        return reason_to_leave(error) if not self.on_spark and is_refused(error) else None

    def foresight(self, features: Features, columns: Mapping[str, Columns], reads: list[Reads]) -> list[CaudalError]:
        """Return the problems of features that see the future; add what their function read to ``reads``."""
        frame = self._frames_by_table[features.name]
        return list(
            self._record_reads(reads, _foresight, self.product, self._spark, features, self._frames(features, columns), frame)
        )

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
        with run_spark.on(self._engine):
            return run_spark.session


def _missing_governed_columns(product: Product, names: Mapping[str, list[str]]) -> Iterator[DeclarationProblem]:
    """Yield problems of described columns and subject columns that their tables do not have."""
    named_columns: list[tuple[str, str, Location | None, str]] = []
    named_columns += [
        (table, column, product.where, "is described") for table, columns in product.abouts.items() for column in columns
    ]
    named_columns += [
        (table, subject.column, subject.where, "names a subject") for subject in product.subjects for table in subject.tables
    ]
    for table, column, where, role in named_columns:
        if table in names and column not in names[table]:
            yield DeclarationProblem(
                f"Column '{column}' of '{table}' {role}, and the table has no such column.",
                nearest=nearest(column, names[table]),
                fix=f"It has {', '.join(names[table])}.",
                where=str(where),
                table=table,
                column=column,
            )


def _source_columns(spark: SparkSession, schema: Schema) -> Columns:
    """Return the columns of a source's table."""
    assert spark is not None  # Spark parses the names of types
    ddl = ", ".join([*(f"`{column.name}` {spark_type(column.type)}" for column in schema), "_file string"])
    return cast(Columns, StructType.fromDDL(ddl).jsonValue())


def _missing_columns(node: Node, names: list[str]) -> Iterator[DeclarationProblem]:
    needed = [
        (column, f"{expectation.name} binds to nothing", expectation.where)
        for expectation in node.expect
        for column in expectation.columns
    ]
    if node.event_time:
        needed.append((node.event_time, "its declared event time is missing", node.where))
    needed += [(column, "declared as key, time, label or kept", node.where) for column in node.not_inputs]
    yield from _known_problems(node, names)
    for column, use, where in needed:
        if column not in names and column not in ("_file", "_day"):
            yield DeclarationProblem(
                f"Table '{node.name}' has no column '{column}': {use}.",
                nearest=nearest(column, names),
                fix=f"It has {', '.join(names)}.",
                where=str(where or node.where),
                table=node.name,
                column=column,
            )


def _known_problems(node: Node, names: list[str]) -> Iterator[DeclarationProblem]:
    """Yield problems of ``known=``: names that are no columns, values that are neither a bound nor a delay."""
    for column, declared in node.known.items():
        if column not in names:
            yield DeclarationProblem(
                f"Table '{node.name}' has no column '{column}', which known= names.",
                nearest=nearest(column, names),
                fix=f"It has {', '.join(names)}.",
                where=str(node.where),
                table=node.name,
                column=column,
            )
        try:
            known_of(declared, names)
        except DeclarationProblem as error:
            yield DeclarationProblem(
                f"Table '{node.name}': {error.what}", nearest=error.nearest, fix=error.fix, where=str(node.where), table=node.name
            )


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
