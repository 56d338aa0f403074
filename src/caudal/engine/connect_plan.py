"""The plan of a frame of Spark Connect as an analysed plan, by the messages that a client sends: names become references to columns.

For what Spark's own analysed plan is asked for where there is Java: how far rows look back (`caudal.engine.reach`), what a column is made
of (`caudal.engine.lineage`), and which marks a column has (`caudal.engine.marks`), since Sail hands metadata on where Spark does not.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from caudal.engine.connect_expressions import (
    Attribute,
    has_aggregate,
    new_number,
)
from caudal.engine.connect_projections import AnalysedRelation, ConnectNode, Projections
from caudal.engine.plan_node import PlanNode, UnknownPlan
from caudal.engine.sql_columns import passed_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.proto import DataType, Relation

_JOINS = {
    1: "Inner", 2: "FullOuter", 3: "LeftOuter", 4: "RightOuter", 5: "LeftAnti", 6: "LeftSemi", 7: "Cross",
}  # fmt: skip


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


class _Analyser(Projections):
    """Analyses relations of each kind; the method of a kind is named by it."""

    # Leaves

    def _read(self, read: Any, relation: Relation) -> AnalysedRelation:
        return self._leaf(relation, "LogicalRelation" if read.WhichOneof("read_type") == "data_source" else "UnresolvedRelation")

    def _local_relation(self, _: Any, relation: Relation) -> AnalysedRelation:
        return self._leaf(relation, "LocalRelation")

    def _cached_local_relation(self, _: Any, relation: Relation) -> AnalysedRelation:
        return self._leaf(relation, "LocalRelation")

    def _chunked_cached_local_relation(self, _: Any, relation: Relation) -> AnalysedRelation:
        return self._leaf(relation, "LocalRelation")

    def _range(self, _: Any, __: Relation) -> AnalysedRelation:
        attribute = Attribute(new_number(), "id")
        return AnalysedRelation(ConnectNode("Range", [], output=[attribute.node()]), [attribute])

    # Operators that keep the columns

    def _filter(self, filter_: Any, _: Relation) -> AnalysedRelation:
        below = self.of(filter_.input)
        condition = self._expression(filter_.condition, self._scope(below))
        if has_aggregate(condition):
            raise UnknownPlan("a filter by an aggregate")
        return self._same("Filter", below, condition=[condition])

    def _sort(self, sort: Any, _: Relation) -> AnalysedRelation:
        below = self.of(sort.input)
        scope = self._scope(below)
        return self._same("Sort", below, order=[self._expression(order.child, scope) for order in sort.order])

    def _limit(self, limit: Any, _: Relation) -> AnalysedRelation:
        return self._same("GlobalLimit", self.of(limit.input))

    def _offset(self, offset: Any, _: Relation) -> AnalysedRelation:
        return self._same("Offset", self.of(offset.input))

    def _tail(self, tail: Any, _: Relation) -> AnalysedRelation:
        return self._same("Tail", self.of(tail.input))

    def _hint(self, hint: Any, _: Relation) -> AnalysedRelation:
        return self._same("ResolvedHint", self.of(hint.input))

    def _repartition(self, repartition: Any, _: Relation) -> AnalysedRelation:
        return self._same("Repartition", self.of(repartition.input))

    def _repartition_by_expression(self, repartition: Any, _: Relation) -> AnalysedRelation:
        return self._same("RepartitionByExpression", self.of(repartition.input))

    def _with_watermark(self, watermark: Any, _: Relation) -> AnalysedRelation:
        return self._same("EventTimeWatermark", self.of(watermark.input))

    def _deduplicate(self, deduplicate: Any, _: Relation) -> AnalysedRelation:
        below = self.of(deduplicate.input)
        scope = self._scope(below)
        names = list(deduplicate.column_names)
        keys = (
            [attribute.node() for attribute in below.attributes]
            if deduplicate.all_columns_as_keys
            else [scope.column([name]) for name in names]
        )
        return self._same("Deduplicate", below, keys=keys)

    def _subquery_alias(self, alias: Any, _: Relation) -> AnalysedRelation:
        below = self.of(alias.input)
        node = ConnectNode("SubqueryAlias", [below.node], {"identifier": {"name": alias.alias}})
        return AnalysedRelation(node, [replace(attribute, qualifier=alias.alias) for attribute in below.attributes])

    # Several rows, several inputs

    def _aggregate(self, aggregate: Any, relation: Relation) -> AnalysedRelation:
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
        return AnalysedRelation(node, [attribute for _, attribute in named])

    def _with_time_windows(self, below: AnalysedRelation, keys: list[PlanNode]) -> tuple[AnalysedRelation, list[PlanNode]]:
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
        windowed = AnalysedRelation(ConnectNode("Project", [below_windows], projectList=nodes), [*below.attributes, *columns])
        by_place = {place: column.node() for place, (_, column) in named}
        return windowed, [by_place.get(place, key) for place, key in enumerate(keys)]

    def _join(self, join: Any, _: Relation) -> AnalysedRelation:
        left, right = self.of(join.left), self.of(join.right)
        kind = _JOINS.get(join.join_type)
        if kind is None:
            raise UnknownPlan("a join of an unknown kind")
        properties = {"joinType": {"object": f"org.apache.spark.sql.catalyst.plans.{kind}$"}}
        one_side = kind in ("LeftSemi", "LeftAnti")
        if not join.using_columns:
            condition = [self._expression(join.join_condition, self._scope(left, right))] if join.HasField("join_condition") else []
            node = ConnectNode("Join", [left.node, right.node], properties, condition=condition)
            return AnalysedRelation(node, left.attributes if one_side else [*left.attributes, *right.attributes])
        pairs = [(self._scope(left).column([name]), self._scope(right).column([name])) for name in join.using_columns]
        conditions = [PlanNode("EqualTo", {}, list(pair)) for pair in pairs]
        condition_node = conditions[0]
        for other in conditions[1:]:
            condition_node = PlanNode("And", {}, [condition_node, other])
        node = ConnectNode("Join", [left.node, right.node], properties, condition=[condition_node])
        if one_side:
            return AnalysedRelation(node, left.attributes)
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
        return AnalysedRelation(project, [*attributes, *others])

    def _with_relations(self, query: Any, relation: Relation) -> AnalysedRelation:
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
        return AnalysedRelation(node, attributes)

    def _set_op(self, operation: Any, _: Relation) -> AnalysedRelation:
        left, right = self.of(operation.left_input), self.of(operation.right_input)
        if operation.by_name:
            if operation.allow_missing_columns:
                raise UnknownPlan("a union of frames with other columns")
            scope = self._scope(right)
            nodes = [scope.column([attribute.name]) for attribute in left.attributes]
            right = AnalysedRelation(ConnectNode("Project", [right.node], projectList=nodes), right.attributes)
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
        return AnalysedRelation(node, [replace(attribute, qualifier=None) for attribute in left.attributes])

    # Python

    def _map_partitions(self, mapping: Any, _: Relation) -> AnalysedRelation:
        below = self.of(mapping.input)
        attributes = _of_struct(mapping.func.python_udf.output_type)
        return AnalysedRelation(
            ConnectNode("MapInArrow", [below.node], output=[attribute.node() for attribute in attributes]), attributes
        )

    def _group_map(self, mapping: Any, _: Relation) -> AnalysedRelation:
        if mapping.is_map_groups_with_state or mapping.HasField("initial_input"):
            raise UnknownPlan("groups with a state")
        below = self.of(mapping.input)
        scope = self._scope(below)
        keys = [self._expression(expression, scope) for expression in mapping.grouping_expressions]
        attributes = _of_struct(mapping.func.python_udf.output_type)
        node = ConnectNode(
            "FlatMapGroupsInPandas", [below.node], groupingAttributes=keys, output=[attribute.node() for attribute in attributes]
        )
        return AnalysedRelation(node, attributes)


def _of_struct(kind: DataType) -> list[Attribute]:
    """Return the columns of a Python function's rows."""
    if kind.WhichOneof("kind") != "struct":
        raise UnknownPlan("a function whose columns are not known")
    return [
        Attribute(new_number(), part.name, None, json.loads(part.metadata) if part.HasField("metadata") else {})
        for part in kind.struct.fields
    ]
