"""Relations of Spark Connect that select, compute, rename and drop columns, as nodes of an analysed plan."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from pyspark.sql.connect.proto import Expression, Relation

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
class AnalysedRelation:
    """A relation: its node and its columns."""

    node: PlanNode
    attributes: list[Attribute]


@dataclass
class Projections:
    """Analyses relations that select, compute, rename and drop columns.

    Attributes
    ----------
    client : the client of Connect, which is asked for the columns of leaves
    by_plan : the columns of each relation, by the number that the client gave it
    """

    client: Any
    by_plan: dict[int, list[Attribute]] = field(default_factory=dict)

    def of(self, relation: Relation) -> AnalysedRelation:
        """Return a relation with its columns."""
        kind = str(relation.WhichOneof("rel_type"))
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise UnknownPlan(f"the operation {kind}")
        result: AnalysedRelation = method(getattr(relation, kind), relation)
        if relation.common.HasField("plan_id"):
            self.by_plan.setdefault(relation.common.plan_id, []).extend(result.attributes)
        return result

    def _scope(self, *inputs: AnalysedRelation) -> Scope:
        attributes = [attribute for one in inputs for attribute in one.attributes]
        return Scope(attributes, lambda plan_id: self.by_plan.get(plan_id, []))

    def _leaf(self, relation: Relation, kind: str) -> AnalysedRelation:
        attributes = [Attribute(new_number(), name, None, metadata) for name, metadata in self._schema(relation)]
        node = ConnectNode(kind, [], output=[attribute.node() for attribute in attributes])
        return AnalysedRelation(node, attributes)

    def _schema(self, relation: Relation) -> list[tuple[str, dict[str, Any]]]:
        number = relation.common.plan_id
        if number not in _schemas:
            from pyspark.sql.connect import proto

            schema = self.client.schema(proto.Plan(root=relation))
            if len(_schemas) >= _KEPT:
                _schemas.clear()
            _schemas[number] = [(field.name, dict(field.metadata or {})) for field in schema.fields]
        return _schemas[number]

    def _same(self, kind: str, below: AnalysedRelation, **parts: list[PlanNode]) -> AnalysedRelation:
        return AnalysedRelation(ConnectNode(kind, [below.node], None, **parts), below.attributes)

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

    def _project(self, project: Any, relation: Relation) -> AnalysedRelation:
        below = self.of(project.input) if project.HasField("input") else AnalysedRelation(ConnectNode("OneRowRelation", []), [])
        return self._projected(below, list(project.expressions), relation)

    def _projected(self, below: AnalysedRelation, expressions: list[Expression], relation: Relation) -> AnalysedRelation:
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
            return AnalysedRelation(
                ConnectNode("Aggregate", [below.node], groupingExpressions=[], aggregateExpressions=parts), attributes
            )
        return AnalysedRelation(ConnectNode("Project", [below.node], projectList=parts), attributes)

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

    def _generated(self, below: AnalysedRelation, nodes: list[PlanNode]) -> tuple[AnalysedRelation, list[PlanNode]]:
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
        return AnalysedRelation(operator, [*below.attributes, *generated]), [*nodes[:at], *columns, *nodes[at + 1 :]]

    def _with_columns(self, with_columns: Any, _: Relation) -> AnalysedRelation:
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
        return AnalysedRelation(ConnectNode("Project", [below.node], projectList=nodes), attributes)

    def _renamed(self, below: AnalysedRelation, names: Sequence[str]) -> AnalysedRelation:
        nodes, attributes = [], []
        for attribute, name in zip(below.attributes, names, strict=True):
            if name == attribute.name:
                nodes.append(attribute.node())
                attributes.append(replace(attribute, qualifier=attribute.qualifier))
                continue
            renamed = replace(attribute, number=new_number(), name=name, qualifier=None)
            nodes.append(PlanNode("Alias", {"exprId": {"id": renamed.number}, "name": name, "names": [name]}, [attribute.node()]))
            attributes.append(renamed)
        return AnalysedRelation(ConnectNode("Project", [below.node], projectList=nodes), attributes)

    def _with_columns_renamed(self, renaming: Any, _: Relation) -> AnalysedRelation:
        below = self.of(renaming.input)
        renames = {rename.col_name.lower(): rename.new_col_name for rename in renaming.renames} or {
            old.lower(): new for old, new in renaming.rename_columns_map.items()
        }
        if len(renaming.renames) > len(renames) or set(renames) & {new.lower() for new in renames.values()}:
            raise UnknownPlan("renames that depend on their order")
        return self._renamed(below, [renames.get(attribute.name.lower(), attribute.name) for attribute in below.attributes])

    def _to_df(self, to_df: Any, _: Relation) -> AnalysedRelation:
        return self._renamed(self.of(to_df.input), list(to_df.column_names))

    def _drop(self, drop: Any, _: Relation) -> AnalysedRelation:
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
        return AnalysedRelation(ConnectNode("Project", [below.node], projectList=[attribute.node() for attribute in kept]), kept)


def _metadata(node: PlanNode, by_number: Mapping[int, Attribute]) -> Mapping[str, Any]:
    """Return the metadata that a value hands on."""
    if node.kind == "AttributeReference":
        return by_number[node.attribute].metadata
    if node.kind == "Alias" and "metadata" not in node.properties:
        return _metadata(node.below[0], by_number)
    metadata: Mapping[str, Any] = node.properties.get("metadata", {})
    return metadata
