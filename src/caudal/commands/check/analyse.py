"""Analysis of a product: functions, queries and expectations run on empty frames, and features are tested for use of future rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pyspark.sql.types import StructType

from caudal.batch.on_engine import reason_to_leave
from caudal.commands.check.headers import Note, files_are_here, is_declared
from caudal.commands.check.missing_columns import problems_of_missing_columns
from caudal.commands.check.node_analyser import Analysis, NodeAnalyser
from caudal.commands.check.node_verdicts import Columns, NodeVerdict, NodeVerdicts
from caudal.declarations.location import Location
from caudal.declarations.node import Node
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.engine.choice import analysing_engines
from caudal.errors import CaudalError, DeclarationProblem, nearest
from caudal.graph.build import build
from caudal.graph.check_holdouts import problems_of_column_types, problems_of_fits
from caudal.graph.check_lookups import problems_of_lookup_columns
from caudal.graph.check_monitors import problems_of_monitor_columns
from caudal.graph.registered import kind_of
from caudal.stages.enforce.declared import DeclaredExpectation


def analyse(
    product: Product,
    settings: Settings,
    note: Note = lambda _: None,
    files: Mapping[str, object] | None = None,
    needs_spark: Note = lambda _: None,
) -> list[CaudalError]:
    """Return the problems that an engine's analyser finds in functions, queries and expectations, and features that see the future.

    Stored results of unchanged nodes without problems are used again; an engine starts only when a node must be analysed. Sail analyses
    where a run would use it, and Spark what Sail refuses, finds wrong, or is not known to compute as Spark does. Where Spark is not
    installed Sail has the last word.

    Parameters
    ----------
    note : called with each remark
    needs_spark : called with each step that needs Spark, where that is not installed, and the reason
    files : by source without a full schema, what identifies the files that its columns may be read from
    """
    engines = analysing_engines(settings.engine, master=settings.master, conf=settings.spark)
    analysers = [NodeAnalyser(product, settings, engine) for engine in engines]
    verdicts = NodeVerdicts(product, files or {}, settings.spark, [settings.engine, *(engine.title for engine in engines)])
    columns: dict[str, Columns] = {}
    fits: dict[str, tuple[str, ...]] = {}
    origins: dict[str, Mapping[str, Sequence[str]]] = {}
    problems: list[CaudalError] = []
    unknown: list[str] = []
    for name in [name for name in build(product).order() if name in product.nodes]:
        node = product.nodes[name]
        if any(
            input_ not in columns for input_ in node.inputs
        ):  # the columns of an input are unknown, so this node cannot be analysed
            continue
        key = verdicts.key(node, columns)
        verdict = verdicts.find(key)
        analysis = Analysis(verdict) if verdict is not None else _analyse_node(analysers, node, columns, settings)
        problems += analysis.problems
        for remark in analysis.needs_spark:
            needs_spark(remark)
        result = analysis.verdict
        if result is None:
            if not analysis.needs_spark and not analysis.problems:
                unknown.append(name)
            continue
        for remark in result.remarks:
            note(remark)
        missing = problems_of_missing_columns(product, node, _names(result.columns))
        problems += missing
        if missing and name not in product.sources:
            continue
        columns[name], fits[name], origins[name] = result.columns, result.fits, result.origins
        problems += analysis.foresight
        # What Sail has left open is said by each check.
        if (
            verdict is None
            and not analysis.foresight
            and not analysis.needs_spark
            and _may_be_stored(product, node, result, settings)
        ):
            verdicts.keep(key, result, analysis.reads)
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
    problems += problems_of_lookup_columns(product, names, origins)
    if unknown:
        note(
            f"The columns of {', '.join(unknown)} are known when data arrive; what reads {'it' if len(unknown) == 1 else 'them'} was not analysed."
        )
    return problems


def _analyse_node(analysers: Sequence[NodeAnalyser], node: Node, columns: Mapping[str, Columns], settings: Settings) -> Analysis:
    """Return what the first engine finds of a node that leaves no doubt, else what the last one finds, with a remark on what the first cannot do."""
    *others, last = analysers
    step = f"{'read' if node.kind == 'source' else node.kind}:{node.name}"
    remarks: list[str] = []
    for analyser in others:
        analysis = analyser.analyse(node, columns)
        if not analysis.is_doubtful:
            return analysis
        left = analysis.left_to_spark or next(filter(None, map(reason_to_leave, (*analysis.problems, *analysis.foresight))), None)
        if left is not None:
            remarks.append(
                f"Step '{step}' is done on {last.engine.title}: {left}"
                if settings.engine == "auto"
                else f"Step '{step}' with the engine '{settings.engine}': {left}"
            )
    analysis = last.analyse(node, columns)
    if not last.is_spark:
        _add_remarks_of_sail(analysis, node, step, settings)
    if analysis.verdict is not None:
        analysis.verdict = replace(analysis.verdict, remarks=(*remarks, *analysis.verdict.remarks))
    return analysis


def _add_remarks_of_sail(analysis: Analysis, node: Node, step: str, settings: Settings) -> None:
    """Make sentences of what Sail cannot do, or cannot tell, where Spark is not installed to have the last word."""
    remarks: list[str] = []
    if analysis.refused is not None:
        analysis.needs_spark.append(
            f"Step '{step}' needs Spark: {analysis.refused.rstrip('.')}. What reads '{node.name}' was not analysed."
        )
    elif analysis.unequal is not None and settings.engine == "auto":
        analysis.needs_spark.append(f"Step '{step}' needs Spark: {analysis.unequal}")
    elif analysis.unequal is not None:
        remarks.append(f"Table '{node.name}': {analysis.unequal}")
    untested = next(filter(None, map(reason_to_leave, analysis.foresight)), None)
    if untested is not None:
        analysis.foresight = []
        remarks.append(f"Features '{node.name}' were not tested for use of future rows: {untested}")
    if analysis.verdict is not None:
        analysis.verdict = replace(analysis.verdict, remarks=(*analysis.verdict.remarks, *remarks))


def _may_be_stored(product: Product, node: Node, verdict: NodeVerdict, settings: Settings) -> bool:
    """Return whether a verdict may be stored: not where a source has files here that could not be read."""
    source = product.sources.get(node.name)
    return source is None or is_declared(source) or verdict.file is not None or not files_are_here(source, settings.data)


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
