"""A product as Spark's analyser sees it: functions, queries and expectations on frames of no rows, and features tried for foresight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from pyspark.sql.types import StructType

from caudal.commands.check.headers import Note, files_are_here, is_declared, schema_of_files
from caudal.commands.check.node_verdicts import Columns, NodeVerdict, NodeVerdicts, of_images
from caudal.declarations.build_context import build_context
from caudal.declarations.known import known_of
from caudal.declarations.location import Location
from caudal.declarations.node import Features, Node, Source, Table
from caudal.declarations.product import Product
from caudal.declarations.schema import Schema
from caudal.declarations.settings import Settings
from caudal.engine.exact import common_magnitudes
from caudal.engine.reader import record_reads
from caudal.errors import CaudalError, DeclarationProblem, nearest
from caudal.graph.build import build
from caudal.graph.check_holdouts import fits_apart, holdouts_found
from caudal.graph.check_models import columns_of_models
from caudal.graph.reads import Reads, Recorder
from caudal.graph.registered import kind_of
from caudal.runtime.opening import opened
from caudal.runtime.table_frame import frame_of
from caudal.runtime.workspace import Workspace
from caudal.stages.enforce.declared import Declared
from caudal.stages.features.future import InputShape, sees_future
from caudal.stages.ingest.cast import spark_type
from caudal.tables.frames import empty

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

P = ParamSpec("P")
R = TypeVar("R")


def analysed(
    product: Product, settings: Settings, note: Note = lambda _: None, files: Mapping[str, object] | None = None
) -> list[CaudalError]:
    """Return what Spark's analyser finds wrong with functions, queries and expectations, and features that see the future.

    What was found of a node without fault before, and has not changed, is taken as it was found; Spark starts when a node must be analysed.

    Parameters
    ----------
    files : by source without a full schema, what identifies the files that its columns may be read from
    """
    analyser = _Analyser(product, settings)
    verdicts = NodeVerdicts(product, files or {}, settings.spark)
    columns: dict[str, Columns] = {}
    fits: dict[str, tuple[str, ...]] = {}
    problems: list[CaudalError] = []
    unknown: list[str] = []
    sources, tables, features_of = product.sources, product.tables, product.feature_tables
    for name in [name for name in build(product).order() if name in product.nodes]:
        node, features = product.nodes[name], features_of.get(name)
        if any(input_ not in columns for input_ in node.inputs):  # an input whose columns nobody knows: nothing can be told
            continue
        key = verdicts.key(node, columns)
        verdict = verdicts.find(key)
        reads: list[Reads] = []
        if name in sources:
            found = verdict or analyser.source(sources[name])
            if found is None:
                unknown.append(name)
                continue
            if found.file is not None:
                note(f"Columns of '{name}' read from {found.file}.")
            problems += _columns(node, _names(found.columns))
        else:
            try:
                found = verdict or analyser.table(tables[name], columns, reads)
            except CaudalError as error:
                problems.append(DeclarationProblem(error.what, where=error.where, fix=error.fix, nearest=error.nearest, table=name))
                continue
            lacking = list(_columns(node, _names(found.columns)))
            if features is not None:
                lacking += columns_of_models(product, features, _names(found.columns))
            problems += lacking
            if lacking:
                continue
        columns[name], fits[name] = found.columns, found.fits
        # Made-up bytes are no images, and what an image shows is not known sooner or later. Without as_of there is no later.
        foresight: list[CaudalError] = []
        if verdict is None and features is not None and features.as_of and not of_images(product, name):
            foresight = analyser.foresight(features, columns, reads)
            problems += foresight
        if verdict is None and not foresight and analyser.is_lasting(node, found):
            verdicts.keep(key, found, reads)
    names = {name: _names(found) for name, found in columns.items()}
    for publication in product.publications.values():
        for of in publication.tables:
            if of in names:
                problems += kind_of(publication).lacking(publication, of, names[of])
    problems += holdouts_found(
        product, {name: {field["name"]: field["type"] for field in found["fields"]} for name, found in columns.items()}
    )
    for model in product.models.values():
        problems += fits_apart(model, product, fits)
    problems += _expected(product, columns)
    problems += _governed(product, names)
    if unknown:
        note(
            f"The columns of {', '.join(unknown)} are known when data arrive; what reads {'it' if len(unknown) == 1 else 'them'} was not analysed."
        )
    return problems


def _names(columns: Columns) -> list[str]:
    return [str(field["name"]) for field in columns["fields"]]


def _expected(product: Product, columns: Mapping[str, Columns]) -> Iterator[CaudalError]:
    """Yield expectations that columns' types make meaningless, and that ask other tables for what they do not have."""
    schemas = {name: StructType.fromJson(found) for name, found in columns.items()}
    for name, schema in schemas.items():
        for expectation in product.nodes[name].expect:
            if not isinstance(expectation, Declared) or not all(column in schema.names for column in expectation.columns):
                continue  # told already
            try:
                expectation.fits(schema)
                if all(other in schemas for other in expectation.tables):
                    expectation.fits_others(schema, schemas)
            except DeclarationProblem as error:
                error.where = error.where or str(product.nodes[name].where)
                yield error


class _Analyser:
    """Asks Spark of what has no verdict; Spark starts with the first question."""

    def __init__(self, product: Product, settings: Settings) -> None:
        self._product, self._settings = product, settings
        self._made: dict[str, DataFrame] = {}

    def source(self, source: Source) -> NodeVerdict | None:
        """Return a source's columns: those declared, else those of its newest file; None where nothing tells."""
        schema, file = source.schema if source.schema is not None and source.schema.names else None, None
        if not is_declared(source) and files_are_here(source, self._settings.data):
            read = schema_of_files(self._ws.spark, source, self._settings.data, self._product.tz)
            schema, file = read or (schema, None)
        return None if schema is None else NodeVerdict(_source_columns(self._ws, schema), file)

    def is_lasting(self, node: Node, found: NodeVerdict) -> bool:
        """Tell whether a verdict is that of all who look: not where a file that lies there could not be read."""
        source = self._product.sources.get(node.name)
        return source is None or is_declared(source) or found.file is not None or not files_are_here(source, self._settings.data)

    def table(self, table: Table, columns: Mapping[str, Columns], reads: list[Reads]) -> NodeVerdict:
        """Return the columns that a table's function or query gives for frames of no rows, and what it fits; what it read is added to ``reads``."""
        with build_context() as left, common_magnitudes():  # the smaller plans: nothing is added up, columns are the same
            frame = self._recorded(reads, frame_of, self._ws, table, self._frames(table, columns))
        self._made[table.name] = frame
        return NodeVerdict(frame.schema.jsonValue(), fits=tuple(sorted(left.asked)))

    def foresight(self, features: Features, columns: Mapping[str, Columns], reads: list[Reads]) -> list[CaudalError]:
        """Return how features see the future, if they do; what their function read is added to ``reads``."""
        made = self._made[features.name]
        return list(self._recorded(reads, _foresight, self._ws, features, self._frames(features, columns), made))

    def _frames(self, table: Table, columns: Mapping[str, Columns]) -> dict[str, DataFrame]:
        return {
            name: self._ws.marked(empty(self._ws.spark, StructType.fromJson(columns[name])), self._product.nodes[name])
            for name in table.inputs
        }

    def _recorded(self, reads: list[Reads], function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        recorder = Recorder(caudals=False)
        with record_reads(recorder.path, recorder.reads.unseen.add):
            try:
                return recorder.call(function, *args, **kwargs)
            finally:
                reads.append(recorder.reads)

    @cached_property
    def _ws(self) -> Workspace:
        home = opened(self._settings)
        return Workspace(self._product, home, ledger=None, settings=self._settings, run_id="check", brief=True)  # type: ignore[arg-type]


def _governed(product: Product, names: Mapping[str, list[str]]) -> Iterator[DeclarationProblem]:
    """Yield columns that are described, or name a subject, and that their tables do not have."""
    asked: list[tuple[str, str, Location | None, str]] = []
    asked += [(table, column, product.where, "is described") for table, columns in product.abouts.items() for column in columns]
    asked += [(table, subject.column, subject.where, "names a subject") for subject in product.subjects for table in subject.tables]
    for table, column, where, what in asked:
        if table in names and column not in names[table]:
            yield DeclarationProblem(
                f"Column '{column}' of '{table}' {what}, and the table has no such column.",
                nearest=nearest(column, names[table]),
                fix=f"It has {', '.join(names[table])}.",
                where=str(where),
                table=table,
                column=column,
            )


def _source_columns(ws: Workspace, schema: Schema) -> Columns:
    """Return the columns of a source's table."""
    assert ws.spark is not None  # it reads the names of types
    ddl = ", ".join([*(f"`{column.name}` {spark_type(column.type)}" for column in schema), "_file string"])
    return cast(Columns, StructType.fromDDL(ddl).jsonValue())


def _columns(node: Node, names: list[str]) -> Iterator[DeclarationProblem]:
    wanted = [
        (column, f"{expectation.name} binds to nothing", expectation.where)
        for expectation in node.expect
        for column in expectation.columns
    ]
    if node.event_time:
        wanted.append((node.event_time, "its declared event time is missing", node.where))
    wanted += [(column, "declared as key, time, label or kept", node.where) for column in node.not_inputs]
    yield from _known(node, names)
    for column, what, where in wanted:
        if column not in names and column not in ("_file", "_day"):
            yield DeclarationProblem(
                f"Table '{node.name}' has no column '{column}': {what}.",
                nearest=nearest(column, names),
                fix=f"It has {', '.join(names)}.",
                where=str(where or node.where),
                table=node.name,
                column=column,
            )


def _known(node: Node, names: list[str]) -> Iterator[DeclarationProblem]:
    """Yield what known= says that is no column, no bound and no delay."""
    for column, declared in node.known.items():
        if column not in names:
            yield DeclarationProblem(
                f"Table '{node.name}' has no column '{column}', which known= speaks of.",
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


def _foresight(ws: Workspace, node: Features, frames: dict[str, DataFrame], made: DataFrame) -> list[CaudalError]:
    assert node.function is not None
    shapes = {}
    for name in node.inputs:
        declared = ws.product.nodes[name]
        known = dict(declared.known)
        shapes[name] = InputShape(schema=frames[name].schema, event_time=declared.event_time, known=known)
    try:
        leak = sees_future(
            node.function, shapes, as_of=node.as_of, entity=node.entity, ignore=(*node.labels, *node.keep), spark=ws.spark, seed=0, on_nothing=made
        )  # fmt: skip
    except CaudalError as error:  # the function fails on made-up rows: told as any other fault of the declaration
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
