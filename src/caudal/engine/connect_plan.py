"""The plan of a frame of Spark Connect as an analysed plan, by the messages that a client sends: names become references to columns.

For what Spark's own analysed plan is asked for where there is Java: how far rows look back (`caudal.engine.reach`), what a column is made
of (`caudal.engine.lineage`), and which marks a column has (`caudal.engine.marks`), since Sail hands metadata on where Spark does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from caudal.engine.connect_expressions import (
    Attribute,
    Scope,
    alias_node,
    check_rows,
    expression_node,
    has_aggregate,
    new_number,
)
from caudal.engine.plan_node import PlanNode, UnknownPlan
from caudal.engine.sql_columns import passed_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.proto import DataType, Expression, Relation

_JOINS = {
    1: "Inner", 2: "FullOuter", 3: "LeftOuter", 4: "RightOuter", 5: "LeftAnti", 6: "LeftSemi", 7: "Cross",
}  # fmt: skip
_KEPT = 2000
_schemas: dict[int, list[tuple[str, dict[str, Any]]]] = {}
"""Names and metadata of the columns of leaves, by the client's number of the leaf."""


class ConnectNode(PlanNode):
    """An operator whose expressions are nodes already."""

    def __init__(
        self, kind: str, below: Sequence[PlanNode], properties: Mapping[str, Any] | None = None, **parts: list[PlanNode]
    ) -> None:
        super().__init__(kind, properties or {}, list(below))
        self._parts = parts

    def expressions(self, *names: str) -> list[PlanNode]:
        """Return the node's expressions under the given names."""
        return [part for name in names for part in self._parts.get(name, [])]


@dataclass
class _Analysed:
    """A relation: its node and its columns."""

    node: PlanNode
    attributes: list[Attribute]


def analysed(frame: DataFrame) -> tuple[PlanNode, list[Attribute]]:
    """Return a frame's plan and its columns; nothing is computed.

    Raises
    ------
    UnknownPlan : the plan holds what is not known to be read as Spark reads it
    """
    connected: Any = frame
    client = connected.sparkSession._client
    analyser = _Analyser(client)
    try:
        relation = analyser.of(connected._plan.plan(client))
    except RecursionError:
        raise UnknownPlan("a plan that is nested too deeply") from None
    return relation.node, relation.attributes


@dataclass
class _Analyser:
    client: Any
    by_plan: dict[int, list[Attribute]] = field(default_factory=dict)

    def of(self, relation: Relation) -> _Analysed:
        """Return a relation with its columns."""
        kind = str(relation.WhichOneof("rel_type"))
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise UnknownPlan(f"the operation {kind}")
        result: _Analysed = method(getattr(relation, kind), relation)
        if relation.common.HasField("plan_id"):
            self.by_plan.setdefault(relation.common.plan_id, []).extend(result.attributes)
        return result

    def _scope(self, *inputs: _Analysed) -> Scope:
        attributes = [attribute for one in inputs for attribute in one.attributes]
        return Scope(attributes, lambda plan_id: self.by_plan.get(plan_id, []))

    # Leaves

    def _leaf(self, relation: Relation, kind: str) -> _Analysed:
        attributes = [Attribute(new_number(), name, None, metadata) for name, metadata in self._schema(relation)]
        node = ConnectNode(kind, [], output=[attribute.node() for attribute in attributes])
        return _Analysed(node, attributes)

    def _schema(self, relation: Relation) -> list[tuple[str, dict[str, Any]]]:
        number = relation.common.plan_id
        if number not in _schemas:
            from pyspark.sql.connect import proto

            schema = self.client.schema(proto.Plan(root=relation))
            if len(_schemas) >= _KEPT:
                _schemas.clear()
            _schemas[number] = [(field.name, dict(field.metadata or {})) for field in schema.fields]
        return _schemas[number]

    def _read(self, read: Any, relation: Relation) -> _Analysed:
        return self._leaf(relation, "LogicalRelation" if read.WhichOneof("read_type") == "data_source" else "UnresolvedRelation")

    def _local_relation(self, _: Any, relation: Relation) -> _Analysed:
        return self._leaf(relation, "LocalRelation")

    def _cached_local_relation(self, _: Any, relation: Relation) -> _Analysed:
        return self._leaf(relation, "LocalRelation")

    def _chunked_cached_local_relation(self, _: Any, relation: Relation) -> _Analysed:
        return self._leaf(relation, "LocalRelation")

    def _range(self, _: Any, __: Relation) -> _Analysed:
        attribute = Attribute(new_number(), "id")
        return _Analysed(ConnectNode("Range", [], output=[attribute.node()]), [attribute])

    # Operators that keep the columns

    def _same(self, kind: str, below: _Analysed, **parts: list[PlanNode]) -> _Analysed:
        return _Analysed(ConnectNode(kind, [below.node], None, **parts), below.attributes)

    def _filter(self, filter_: Any, _: Relation) -> _Analysed:
        below = self.of(filter_.input)
        condition = self._expression(filter_.condition, self._scope(below))
        if has_aggregate(condition):
            raise UnknownPlan("a filter by an aggregate")
        return self._same("Filter", below, condition=[condition])

    def _sort(self, sort: Any, _: Relation) -> _Analysed:
        below = self.of(sort.input)
        scope = self._scope(below)
        return self._same("Sort", below, order=[self._expression(order.child, scope) for order in sort.order])

    def _limit(self, limit: Any, _: Relation) -> _Analysed:
        return self._same("GlobalLimit", self.of(limit.input))

    def _offset(self, offset: Any, _: Relation) -> _Analysed:
        return self._same("Offset", self.of(offset.input))

    def _tail(self, tail: Any, _: Relation) -> _Analysed:
        return self._same("Tail", self.of(tail.input))

    def _hint(self, hint: Any, _: Relation) -> _Analysed:
        return self._same("ResolvedHint", self.of(hint.input))

    def _repartition(self, repartition: Any, _: Relation) -> _Analysed:
        return self._same("Repartition", self.of(repartition.input))

    def _repartition_by_expression(self, repartition: Any, _: Relation) -> _Analysed:
        return self._same("RepartitionByExpression", self.of(repartition.input))

    def _with_watermark(self, watermark: Any, _: Relation) -> _Analysed:
        return self._same("EventTimeWatermark", self.of(watermark.input))

    def _deduplicate(self, deduplicate: Any, _: Relation) -> _Analysed:
        below = self.of(deduplicate.input)
        scope = self._scope(below)
        names = list(deduplicate.column_names)
        keys = (
            [attribute.node() for attribute in below.attributes]
            if deduplicate.all_columns_as_keys
            else [scope.column([name]) for name in names]
        )
        return self._same("Deduplicate", below, keys=keys)

    def _subquery_alias(self, alias: Any, _: Relation) -> _Analysed:
        below = self.of(alias.input)
        node = ConnectNode("SubqueryAlias", [below.node], {"identifier": {"name": alias.alias}})
        return _Analysed(node, [replace(attribute, qualifier=alias.alias) for attribute in below.attributes])

    # Projections

    def _expression(self, expression: Expression, scope: Scope) -> PlanNode:
        node = expression_node(expression, scope)
        check_rows(node)
        return node

    def _named(self, node: PlanNode, name: str | None, scope: Scope) -> tuple[PlanNode, Attribute]:
        """Return an expression as a named one, and its column."""
        by_number = scope.by_number
        if node.kind == "AttributeReference":
            return node, by_number[node.attribute]
        if node.kind != "Alias":
            if name is None:
                raise UnknownPlan("a column without a name")
            node = PlanNode("Alias", {"exprId": {"id": new_number()}, "name": name, "names": [name]}, [node])
        if len(node.properties["names"]) > 1:
            raise UnknownPlan("a column with several names")
        inner, metadata = node.below[0], _metadata(node, by_number)
        while inner.kind == "Alias":
            inner = inner.below[0]
        fields = by_number[inner.attribute].fields if inner.kind == "AttributeReference" else ()
        if inner.kind == "CreateNamedStruct":
            keys, values = inner.below[::2], inner.below[1::2]
            fields = tuple(
                (str(key.properties.get("value")), _metadata(value, by_number)) for key, value in zip(keys, values, strict=True)
            )
        return node, Attribute(node.attribute, str(node.properties["name"]), None, metadata, fields)

    def _project(self, project: Any, relation: Relation) -> _Analysed:
        below = self.of(project.input) if project.HasField("input") else _Analysed(ConnectNode("OneRowRelation", []), [])
        return self._projected(below, list(project.expressions), relation)

    def _projected(self, below: _Analysed, expressions: list[Expression], relation: Relation) -> _Analysed:
        scope = self._scope(below)
        nodes: list[PlanNode] = []
        for expression in expressions:
            if expression.WhichOneof("expr_type") == "unresolved_star":
                nodes += [attribute.node() for attribute in self._starred(expression.unresolved_star, scope)]
            else:
                nodes.append(expression_node(expression, scope))
        below, nodes = self._generated(below, nodes)
        scope = self._scope(below)
        for node in nodes:
            check_rows(node)
        names = self._names(relation, nodes)
        named = [self._named(node, name, scope) for node, name in zip(nodes, names, strict=True)]
        parts, attributes = [node for node, _ in named], [attribute for _, attribute in named]
        if any(map(has_aggregate, parts)):
            return _Analysed(ConnectNode("Aggregate", [below.node], groupingExpressions=[], aggregateExpressions=parts), attributes)
        return _Analysed(ConnectNode("Project", [below.node], projectList=parts), attributes)

    def _names(self, relation: Relation, nodes: list[PlanNode]) -> list[str | None]:
        """Return the columns' names; those that Spark makes up are asked for."""
        if all(node.kind in ("AttributeReference", "Alias") for node in nodes):
            return [None] * len(nodes)
        names = [name for name, _ in self._schema(relation)]
        if len(names) != len(nodes):
            raise UnknownPlan("columns that are not as expected")
        return [*names]

    def _starred(self, star: Any, scope: Scope) -> list[Attribute]:
        if star.HasField("plan_id"):
            numbers = {attribute.number for attribute in scope.of_plan(star.plan_id)}
            return [attribute for attribute in scope.attributes if attribute.number in numbers]
        if star.HasField("unparsed_target"):
            target = star.unparsed_target.removesuffix(".*")
            starred = [attribute for attribute in scope.attributes if attribute.qualifier == target]
            if not starred:
                raise UnknownPlan(f"the star {star.unparsed_target}")
            return starred
        return list(scope.attributes)

    def _generated(self, below: _Analysed, nodes: list[PlanNode]) -> tuple[_Analysed, list[PlanNode]]:
        """Return the input with the rows of the generator among some expressions, and the expressions with its columns instead."""
        places = [
            at for at, node in enumerate(nodes) if (node.below[0] if node.kind == "Alias" else node).properties.get("generates")
        ]
        if not places:
            return below, nodes
        if len(places) > 1:
            raise UnknownPlan("several generators")
        node = nodes[places[0]]
        generator = node.below[0] if node.kind == "Alias" else node
        for part in generator.below:
            check_rows(part)
        names = (
            list(node.properties["names"])
            if node.kind == "Alias"
            else ["col"]
            if generator.kind in ("Explode", "explode_outer")
            else None
        )
        if names is None:
            raise UnknownPlan("a generator without names")
        generated = [Attribute(new_number(), name) for name in names]
        operator = ConnectNode(
            "Generate", [below.node], generator=[generator], generatorOutput=[attribute.node() for attribute in generated]
        )
        at = places[0]
        columns = [attribute.node() for attribute in generated]
        return _Analysed(operator, [*below.attributes, *generated]), [*nodes[:at], *columns, *nodes[at + 1 :]]

    def _with_columns(self, with_columns: Any, _: Relation) -> _Analysed:
        below = self.of(with_columns.input)
        scope = self._scope(below)
        before = below.attributes
        below, aliases = self._generated(below, [alias_node(alias, scope) for alias in with_columns.aliases])
        scope = self._scope(below)
        added = {}
        for node in aliases:
            check_rows(node)
            if has_aggregate(node):
                raise UnknownPlan("an aggregate beside rows")
            named = self._named(node, None, scope)
            added[named[1].name.lower()] = named
        nodes, attributes = [], []
        for attribute in before:
            node, column = added.pop(attribute.name.lower(), (attribute.node(), attribute))
            nodes.append(node)
            attributes.append(column)
        for node, column in added.values():
            nodes.append(node)
            attributes.append(column)
        return _Analysed(ConnectNode("Project", [below.node], projectList=nodes), attributes)

    def _renamed(self, below: _Analysed, names: Sequence[str]) -> _Analysed:
        nodes, attributes = [], []
        for attribute, name in zip(below.attributes, names, strict=True):
            if name == attribute.name:
                nodes.append(attribute.node())
                attributes.append(replace(attribute, qualifier=attribute.qualifier))
                continue
            renamed = replace(attribute, number=new_number(), name=name, qualifier=None)
            nodes.append(PlanNode("Alias", {"exprId": {"id": renamed.number}, "name": name, "names": [name]}, [attribute.node()]))
            attributes.append(renamed)
        return _Analysed(ConnectNode("Project", [below.node], projectList=nodes), attributes)

    def _with_columns_renamed(self, renaming: Any, _: Relation) -> _Analysed:
        below = self.of(renaming.input)
        renames = {rename.col_name.lower(): rename.new_col_name for rename in renaming.renames} or {
            old.lower(): new for old, new in renaming.rename_columns_map.items()
        }
        if len(renaming.renames) > len(renames) or set(renames) & {new.lower() for new in renames.values()}:
            raise UnknownPlan("renames that depend on their order")
        return self._renamed(below, [renames.get(attribute.name.lower(), attribute.name) for attribute in below.attributes])

    def _to_df(self, to_df: Any, _: Relation) -> _Analysed:
        return self._renamed(self.of(to_df.input), list(to_df.column_names))

    def _drop(self, drop: Any, _: Relation) -> _Analysed:
        below = self.of(drop.input)
        scope = self._scope(below)
        names = {name.lower() for name in drop.column_names}
        numbers = set()
        for column in drop.columns:
            try:
                node = expression_node(column, scope)
            except UnknownPlan:
                if column.WhichOneof("expr_type") != "unresolved_attribute":
                    raise
                # Spark leaves out a column that is not there; one that cannot be told apart must not be guessed.
                if any(
                    attribute.name.lower() in column.unresolved_attribute.unparsed_identifier.lower()
                    for attribute in below.attributes
                ):
                    raise
                continue
            if node.kind != "AttributeReference":
                raise UnknownPlan("a dropped expression")
            numbers.add(node.attribute)
        kept = [
            attribute for attribute in below.attributes if attribute.name.lower() not in names and attribute.number not in numbers
        ]
        return _Analysed(ConnectNode("Project", [below.node], projectList=[attribute.node() for attribute in kept]), kept)

    # Several rows, several inputs

    def _aggregate(self, aggregate: Any, relation: Relation) -> _Analysed:
        if aggregate.group_type != aggregate.GROUP_TYPE_GROUPBY:
            raise UnknownPlan("a grouping of several kinds")
        below = self.of(aggregate.input)
        scope = self._scope(below)
        keys = [self._expression(expression, scope) for expression in aggregate.grouping_expressions]
        below, keys = self._with_time_windows(below, keys)
        scope = self._scope(below)
        nodes = [*keys, *(self._expression(expression, scope) for expression in aggregate.aggregate_expressions)]
        named = [self._named(node, name, scope) for node, name in zip(nodes, self._names(relation, nodes), strict=True)]
        grouping = [key.below[0] if key.kind == "Alias" else key for key in keys]
        node = ConnectNode(
            "Aggregate", [below.node], groupingExpressions=grouping, aggregateExpressions=[node for node, _ in named]
        )
        return _Analysed(node, [attribute for _, attribute in named])

    def _with_time_windows(self, below: _Analysed, keys: list[PlanNode]) -> tuple[_Analysed, list[PlanNode]]:
        """Return the input with its windows of time as columns, as Spark makes them before it groups, and the keys that refer to them."""
        named = []
        for place, key in enumerate(keys):
            if key.kind == "CreateNamedStruct":
                key = PlanNode("Alias", {"exprId": {"id": new_number()}, "name": "window", "names": ["window"]}, [key])
            if key.kind == "Alias" and key.below[0].kind == "CreateNamedStruct":
                named.append((place, self._named(key, None, self._scope(below))))
        if not named:
            return below, keys
        nodes = [*(attribute.node() for attribute in below.attributes), *(node for _, (node, _) in named)]
        columns = [column for _, (_, column) in named]
        below_windows: PlanNode = below.node
        for _, (node, _) in named:  # rows without a time are in no window
            times = [part.below[0] for part in node.each() if part.kind == "PreciseTimestampConversion"]
            below_windows = ConnectNode("Filter", [below_windows], condition=[PlanNode("isnotnull", {}, times[1:2])])
        windowed = _Analysed(ConnectNode("Project", [below_windows], projectList=nodes), [*below.attributes, *columns])
        by_place = {place: column.node() for place, (_, column) in named}
        return windowed, [by_place.get(place, key) for place, key in enumerate(keys)]

    def _join(self, join: Any, _: Relation) -> _Analysed:
        left, right = self.of(join.left), self.of(join.right)
        kind = _JOINS.get(join.join_type)
        if kind is None:
            raise UnknownPlan("a join of an unknown kind")
        properties = {"joinType": {"object": f"org.apache.spark.sql.catalyst.plans.{kind}$"}}
        one_side = kind in ("LeftSemi", "LeftAnti")
        if not join.using_columns:
            condition = [self._expression(join.join_condition, self._scope(left, right))] if join.HasField("join_condition") else []
            node = ConnectNode("Join", [left.node, right.node], properties, condition=condition)
            return _Analysed(node, left.attributes if one_side else [*left.attributes, *right.attributes])
        pairs = [(self._scope(left).column([name]), self._scope(right).column([name])) for name in join.using_columns]
        conditions = [PlanNode("EqualTo", {}, list(pair)) for pair in pairs]
        condition_node = conditions[0]
        for other in conditions[1:]:
            condition_node = PlanNode("And", {}, [condition_node, other])
        node = ConnectNode("Join", [left.node, right.node], properties, condition=[condition_node])
        if one_side:
            return _Analysed(node, left.attributes)
        lefts, rights = ({attribute.number: attribute for attribute in side.attributes} for side in (left, right))
        nodes: list[PlanNode] = []
        attributes: list[Attribute] = []
        for left_key, right_key in pairs:
            if kind == "FullOuter":
                column = Attribute(new_number(), lefts[left_key.attribute].name)
                nodes.append(
                    PlanNode(
                        "Alias",
                        {"exprId": {"id": column.number}, "name": column.name, "names": [column.name]},
                        [PlanNode("Coalesce", {}, [left_key, right_key])],
                    )
                )
                attributes.append(column)
            else:
                attributes.append(rights[right_key.attribute] if kind == "RightOuter" else lefts[left_key.attribute])
                nodes.append(attributes[-1].node())
        keys = {key.attribute for pair in pairs for key in pair}
        others = [attribute for side in (left, right) for attribute in side.attributes if attribute.number not in keys]
        # Both keys can still be named by the frames that they come from.
        project = ConnectNode("Project", [node], projectList=[*nodes, *(attribute.node() for attribute in others)])
        return _Analysed(project, [*attributes, *others])

    def _with_relations(self, query: Any, relation: Relation) -> _Analysed:
        """Return a query in SQL over frames: what its columns are made of, and how far they look back, is not known."""
        if query.root.WhichOneof("rel_type") != "sql" or any(
            one.WhichOneof("rel_type") != "subquery_alias" for one in query.references
        ):
            raise UnknownPlan("a query in SQL over something else than frames")
        inputs = {one.subquery_alias.alias: self.of(one) for one in query.references}
        names = [name for name, _ in self._schema(relation)]
        columns = {name: [attribute.name for attribute in input_.attributes] for name, input_ in inputs.items()}
        sources = passed_columns(query.root.sql.query, columns, names)
        metadata = {
            (name, attribute.name): attribute.metadata for name, input_ in inputs.items() for attribute in input_.attributes
        }
        attributes = [
            Attribute(new_number(), name, None, metadata[source] if (source := sources[name]) is not None else {}) for name in names
        ]
        node = ConnectNode(
            "SQL", [input_.node for input_ in inputs.values()], output=[attribute.node() for attribute in attributes]
        )
        return _Analysed(node, attributes)

    def _set_op(self, operation: Any, _: Relation) -> _Analysed:
        left, right = self.of(operation.left_input), self.of(operation.right_input)
        if operation.by_name:
            if operation.allow_missing_columns:
                raise UnknownPlan("a union of frames with other columns")
            scope = self._scope(right)
            nodes = [scope.column([attribute.name]) for attribute in left.attributes]
            right = _Analysed(ConnectNode("Project", [right.node], projectList=nodes), right.attributes)
        kinds = {
            operation.SET_OP_TYPE_UNION: "Union",
            operation.SET_OP_TYPE_INTERSECT: "Intersect",
            operation.SET_OP_TYPE_EXCEPT: "Except",
        }
        kind = kinds.get(operation.set_op_type)
        if kind is None or len(left.attributes) != len(right.attributes):
            raise UnknownPlan("a set operation that is not understood")
        node: PlanNode = ConnectNode(kind, [left.node, right.node])
        if kind == "Union" and not operation.is_all:
            node = ConnectNode("Distinct", [node])
        return _Analysed(node, [replace(attribute, qualifier=None) for attribute in left.attributes])

    # Python

    def _map_partitions(self, mapping: Any, _: Relation) -> _Analysed:
        below = self.of(mapping.input)
        attributes = _of_struct(mapping.func.python_udf.output_type)
        return _Analysed(ConnectNode("MapInArrow", [below.node], output=[attribute.node() for attribute in attributes]), attributes)

    def _group_map(self, mapping: Any, _: Relation) -> _Analysed:
        if mapping.is_map_groups_with_state or mapping.HasField("initial_input"):
            raise UnknownPlan("groups with a state")
        below = self.of(mapping.input)
        scope = self._scope(below)
        keys = [self._expression(expression, scope) for expression in mapping.grouping_expressions]
        attributes = _of_struct(mapping.func.python_udf.output_type)
        node = ConnectNode(
            "FlatMapGroupsInPandas", [below.node], groupingAttributes=keys, output=[attribute.node() for attribute in attributes]
        )
        return _Analysed(node, attributes)


def _metadata(node: PlanNode, by_number: Mapping[int, Attribute]) -> Mapping[str, Any]:
    """Return the metadata that a value hands on."""
    if node.kind == "AttributeReference":
        return by_number[node.attribute].metadata
    if node.kind == "Alias" and "metadata" not in node.properties:
        return _metadata(node.below[0], by_number)
    metadata: Mapping[str, Any] = node.properties.get("metadata", {})
    return metadata


def _of_struct(kind: DataType) -> list[Attribute]:
    """Return the columns of a Python function's rows."""
    if kind.WhichOneof("kind") != "struct":
        raise UnknownPlan("a function whose columns are not known")
    return [
        Attribute(new_number(), part.name, None, json.loads(part.metadata) if part.HasField("metadata") else {})
        for part in kind.struct.fields
    ]
