"""A plan of Spark Connect → every construct in it, with the classes of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.proto as pb
from pyspark.sql.types import StructType

from caudal.engine.sail.analyzer import Analyzer, TypeScope, stand_in
from caudal.engine.sail.expressions import Call, Renamed, walk
from caudal.engine.sail.messages import from_message, order_of
from caudal.engine.sail.plan_walker import Found, Input, PlanWalker, Rule
from caudal.engine.sail.results import error_line
from caudal.engine.sail.signature import Construct, direction, is_aggregate, join_constructs
from caudal.engine.sail.sql_query import QueryWalker
from caudal.engine.sail.types import type_class

if TYPE_CHECKING:
    from pyspark.sql.connect.client import SparkConnectClient

JOINS = {1: "inner", 2: "full outer", 3: "left outer", 4: "right outer", 5: "left anti", 6: "left semi", 7: "cross"}
IGNORED = frozenset({"__globpaths__"})
"""Options of readers that Sail does not know, and that do not decide what is read from the address of a file."""
SETS = {1: "intersect", 2: "union", 3: "except"}


def constructs_of_plan(relation: pb.Relation, client: SparkConnectClient) -> list[Found]:
    """Return every construct of a plan, each once.

    What cannot be told is a construct named ``unknown`` with its reason; this includes a plan that Sail refuses.
    """
    return walked_constructs(relation, PlanWalker(Analyzer(client), RULES))


def walked_constructs(relation: pb.Relation, walker: PlanWalker) -> list[Found]:
    """Return the same by a walker, which then knows the types as well."""
    try:
        walker.walk(relation)
    except Exception as error:
        walker.note(Construct("unknown", (f"Sail refuses the plan: {error_line(error)}",)))
    return list(walker.found)


def _projection(empty: pb.Relation) -> Callable[[Sequence[pb.Expression]], pb.Relation]:
    def make(messages: Sequence[pb.Expression]) -> pb.Relation:
        selected = pb.Relation()
        selected.project.input.CopyFrom(empty)
        for place, message in enumerate(messages):
            renamed = selected.project.expressions.add()
            renamed.alias.expr.CopyFrom(message)
            renamed.alias.name.append(f"e{place}")
        return selected

    return make


def _over_input(inputs: Sequence[Input]) -> tuple[Any, Any]:
    return _projection(inputs[0].empty), _projection(inputs[0].relation)


def _classes(schema: StructType) -> list[str]:
    return sorted({type_class(each.dataType) for each in schema.fields})


def _carry(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    """Columns are renamed, left out or passed on: nothing is computed."""


def _project(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    make = _over_input(inputs) if inputs else (_projection(_one_row()), None)
    walker.expressions([from_message(each) for each in relation.project.expressions], make, inputs)


def _one_row() -> pb.Relation:
    relation = pb.Relation()
    relation.range.end = 1
    relation.range.step = 1
    return relation


def _with_columns(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    walker.expressions([from_message(each.expr) for each in relation.with_columns.aliases], _over_input(inputs), inputs)


def _filter(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    walker.expressions([from_message(relation.filter.condition)], _over_input(inputs), inputs)


def _sort(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    keys = [order_of(each) for each in relation.sort.order]
    scope = walker.expressions(keys, _over_input(inputs), inputs)
    for key in keys:
        walker.note(Construct("sort", (scope.class_of(key.key), direction(key))), relation)


def _aggregate(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    body = relation.aggregate
    kinds = {
        body.GROUP_TYPE_GROUPBY: "group by",
        body.GROUP_TYPE_ROLLUP: "rollup",
        body.GROUP_TYPE_CUBE: "cube",
        body.GROUP_TYPE_PIVOT: "pivot",
    }
    name = kinds.get(body.group_type, "grouping sets")
    keys = [from_message(each) for each in body.grouping_expressions]
    results = [from_message(each) for each in body.aggregate_expressions]
    make = _over_input(inputs)
    scope = walker.expressions(keys, make, inputs)
    plain_keys = [key.argument if isinstance(key, Renamed) else key for key in keys]
    scope.resolve([Call("key", tuple(plain_keys))])
    for key in plain_keys:
        walker.note(Construct(name, (scope.class_of(key),)), relation)
    if not keys:
        walker.note(Construct(name), relation)

    inner = [each for result in results for each in walk(result) if isinstance(each, Call) and is_aggregate(each)]
    scope = walker.expressions(inner, make, inputs)
    outside = [result for result in results if not is_aggregate(result.argument if isinstance(result, Renamed) else result)]
    grouped = _grouped(body, inputs[0].empty), _grouped(body, inputs[0].relation)
    above = TypeScope(walker.analyzer, *grouped)
    # Arguments of aggregates are of the rows before they are grouped; their types are known by now.
    above.known.update(scope.known)
    walker.expressions(outside, grouped, inputs, above)
    if body.group_type == body.GROUP_TYPE_PIVOT:
        walker.note(Construct("pivot", ("values",) if body.pivot.values else ("values that are not named",)), relation)


def _grouped(body: pb.Aggregate, below: pb.Relation) -> Callable[[Sequence[pb.Expression]], pb.Relation]:
    def make(messages: Sequence[pb.Expression]) -> pb.Relation:
        selected = pb.Relation()
        selected.aggregate.input.CopyFrom(below)
        selected.aggregate.group_type = selected.aggregate.GROUP_TYPE_GROUPBY
        selected.aggregate.grouping_expressions.extend(body.grouping_expressions)
        for place, message in enumerate(messages):
            renamed = selected.aggregate.aggregate_expressions.add()
            renamed.alias.expr.CopyFrom(message)
            renamed.alias.name.append(f"e{place}")
        return selected

    return make


def _join(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    body, name = relation.join, JOINS.get(relation.join.join_type, "unknown")
    if body.using_columns:
        for column in body.using_columns:
            for each in inputs:
                kinds = {type_class(one.dataType) for one in each.schema.fields if one.name.lower() == column.lower()} or {
                    "unknown"
                }
                walker.note(Construct(f"{name} join using", (*sorted(kinds),)), relation)
    elif body.HasField("join_condition"):
        makes = tuple(
            _projection(_crossed(*pair)) for pair in ((inputs[0].empty, inputs[1].empty), (inputs[0].relation, inputs[1].relation))
        )
        condition = from_message(body.join_condition)
        scope = walker.expressions([condition], (makes[0], makes[1]), inputs)
        for construct in join_constructs(name, condition, scope.class_of):
            walker.note(construct, relation)
    else:
        walker.note(Construct("cross join"), relation)


def _crossed(left: pb.Relation, right: pb.Relation) -> pb.Relation:
    both = pb.Relation()
    both.join.left.CopyFrom(left)
    both.join.right.CopyFrom(right)
    both.join.join_type = both.join.JOIN_TYPE_CROSS
    return both


def _set_operation(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    body = relation.set_op
    name = (
        SETS.get(body.set_op_type, "unknown")
        + (" all" if body.is_all else "")
        + (" by name" if body.by_name else "")
        + (" with missing" if body.allow_missing_columns else "")
    )
    left, right = (each.schema for each in inputs)
    if not body.by_name and [one.dataType.simpleString() for one in left.fields] != [
        one.dataType.simpleString() for one in right.fields
    ]:
        name += " of different types"
    for kind in sorted({*_classes(left), *_classes(right)}):
        walker.note(Construct(name, (kind,)), relation)


def _limit(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    ordered = inputs[0].relation.WhichOneof("rel_type") == "sort"
    walker.note(Construct("limit", ("of a sort" if ordered else "without a sort",)), relation)


def _deduplicate(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    body = relation.deduplicate
    whole = body.all_columns_as_keys or {name.lower() for name in body.column_names} == {
        name.lower() for name in inputs[0].schema.names
    }
    if not whole:
        walker.note(Construct("dropDuplicates", ("of some columns",)), relation)
    for kind in _classes(inputs[0].schema):
        walker.note(Construct("distinct", (kind,)), relation)


def _local(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    schema = walker.analyzer.schema(relation)
    for kind in _classes(schema):
        walker.note(Construct("createDataFrame", (kind,)), relation)


def _read(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    body = relation.read
    if body.WhichOneof("read_type") != "data_source":
        walker.note(Construct("read a table by name"), relation)
        return
    options = sorted(name.lower() for name in body.data_source.options if name.lower() not in IGNORED)
    kinds = _classes(walker.analyzer.schema(relation))
    if not kinds:
        walker.note(Construct("unknown", ("files without columns",)), relation)
    name = f"read {body.data_source.format or 'parquet'}"
    for option in options:
        walker.note(Construct(f"{name} with", (option,)), relation)
    for kind in kinds:
        walker.note(Construct(name, (kind,)), relation)


def _map_partitions(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    function = relation.map_partitions.func
    _python(walker, relation, inputs, function, inputs[0].schema)


def _group_map(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    body = relation.group_map
    keys = [from_message(each) for each in body.grouping_expressions]
    scope = walker.expressions(keys, _over_input(inputs), inputs)
    scope.resolve([Call("key", tuple(keys))])
    for key in keys:
        walker.note(Construct("group by", (scope.class_of(key),)), relation)
    _python(walker, relation, inputs, body.func, inputs[0].schema)


def _python(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input], function: Any, schema: StructType) -> None:
    message = pb.Expression()
    message.common_inline_user_defined_function.CopyFrom(function)
    python = from_message(message)
    name = getattr(python, "kind", "unknown")
    from pyspark.sql.connect.types import proto_schema_to_pyspark_data_type

    result = proto_schema_to_pyspark_data_type(function.python_udf.output_type)
    for kind in _classes(schema):
        walker.note(Construct(name, (kind,)), relation)
    for kind in _classes(result) if isinstance(result, StructType) else ["unknown"]:
        walker.note(Construct(name, (f"-> {kind}",)), relation)


def _unpivot(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    for kind in _classes(inputs[0].schema):
        walker.note(Construct("unpivot", (kind,)), relation)


def _fill(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    kinds = {each.WhichOneof("literal_type") or "unknown" for each in relation.fill_na.values}
    for kind in _classes(inputs[0].schema):
        for value in sorted(kinds):
            walker.note(Construct("fillna", (kind, value)), relation)


def _sql(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    _query(walker, relation, relation.sql, lambda text: _sql_relation(text), frozenset())


def _sql_relation(text: str) -> pb.Relation:
    relation = pb.Relation()
    relation.sql.query = text
    return relation


def _query(
    walker: PlanWalker, relation: pb.Relation, sql: pb.SQL, wrap: Callable[[str], pb.Relation], names: frozenset[str]
) -> None:
    if sql.args or sql.pos_args or sql.named_arguments or sql.pos_arguments:
        walker.note(Construct("unknown", ("parameters of a text of SQL",)), relation)
    for construct in QueryWalker(walker.analyzer, wrap, names).walk(sql.query):
        walker.note(construct, relation, in_query=True)


def _with_relations(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
    body = relation.with_relations
    references = []
    for reference in body.references:
        schema = walker.walk(reference)
        if reference.WhichOneof("rel_type") == "subquery_alias":
            named = pb.Relation()
            named.CopyFrom(reference)
            named.subquery_alias.input.CopyFrom(stand_in(reference.subquery_alias.input, schema))
            references.append(named)
        else:
            walker.note(Construct("unknown", ("a subquery in a plan",)), relation)
    if body.root.WhichOneof("rel_type") != "sql":
        walker.note(Construct("unknown", ("a subquery in a plan",)), relation)
        return

    def wrap(text: str) -> pb.Relation:
        wrapped = pb.Relation()
        wrapped.with_relations.root.sql.query = text
        wrapped.with_relations.references.extend(references)
        return wrapped

    names = frozenset(reference.subquery_alias.alias.lower() for reference in references)
    _query(walker, relation, body.root.sql, wrap, names)


def _named(name: str) -> Rule:
    def rule(walker: PlanWalker, relation: pb.Relation, inputs: Sequence[Input]) -> None:
        for kind in _classes(inputs[0].schema) if inputs else [""]:
            walker.note(Construct(name, (kind,) if kind else ()), relation)

    return rule


RULES: dict[str, Rule] = {
    "project": _project,
    "with_columns": _with_columns,
    "filter": _filter,
    "sort": _sort,
    "aggregate": _aggregate,
    "join": _join,
    "set_op": _set_operation,
    "limit": _limit,
    "deduplicate": _deduplicate,
    "local_relation": _local,
    "read": _read,
    "map_partitions": _map_partitions,
    "group_map": _group_map,
    "sql": _sql,
    "with_relations": _with_relations,
    "unpivot": _unpivot,
    "fill_na": _fill,
    "drop_na": _named("dropna"),
    "range": _named("range"),
    "to_schema": _named("to"),
    "subquery_alias": _carry,
    "to_df": _carry,
    "with_columns_renamed": _carry,
    "drop": _carry,
    "hint": _carry,
    "repartition": _carry,
    "repartition_by_expression": _carry,
    "cached_remote_relation": _named("a checkpoint"),
}
