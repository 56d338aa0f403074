"""Walks a plan of Spark Connect from its leaves upwards, with the types of every expression; what is noted of each kind of relation are rules."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyspark.sql.connect.proto as pb
from pyspark.sql.types import DataType, StructType

from caudal.engine.sail.analyzer import Analyzer, TypeScope, Variables, stand_in
from caudal.engine.sail.expressions import ColumnName, Expression
from caudal.engine.sail.messages import call_site
from caudal.engine.sail.signature import Construct, constructs_of
from caudal.engine.sail.types import UNKNOWN, type_class


@dataclass(frozen=True)
class Found:
    """A construct in a plan, the user's line that made it, and whether it stands within a query in SQL."""

    construct: Construct
    call_site: str = ""
    in_query: bool = False


@dataclass
class PlanWalker:
    """Finds the constructs of a plan.

    Attributes
    ----------
    analyzer : asks Sail for types
    rules : what to note of a relation, by its kind
    found : what was found, in order
    schemas : by the identity of a relation, its columns
    scopes : by the identity of a relation, the types of the expressions in it
    """

    analyzer: Analyzer
    rules: Mapping[str, Rule]
    found: dict[Found, None] = field(default_factory=dict)
    schemas: dict[Hashable, StructType] = field(default_factory=dict)
    scopes: dict[Hashable, list[TypeScope]] = field(default_factory=dict)
    _here: Hashable = None
    _walked: list[pb.Relation] = field(default_factory=list)
    """What was walked, so that no other relation comes to lie in its place in memory."""

    def walk(self, relation: pb.Relation) -> StructType:
        """Note the constructs of a relation and of those below it; return its columns."""
        self._walked.append(relation)
        identity = identity_of(relation)
        if identity in self.schemas:
            return self.schemas[identity]
        kind = relation.WhichOneof("rel_type") or "unknown"
        inputs = [self._below(child) for child in _inputs(relation, kind)]
        rule = self.rules.get(kind)
        if rule is None:
            self.note(Construct("unknown", (f"{kind} in a plan",)), relation)
        else:
            self._here = identity
            rule(self, relation, inputs)
        try:
            schema = self.analyzer.schema(_over(relation, kind, inputs))
        except Exception:  # a column may be named by a relation further below
            schema = self.analyzer.schema(relation)
        self.schemas[identity] = schema
        return schema

    def pass_over(self, relation: pb.Relation) -> None:
        """Learn the types of a relation and of those below it; what is walked from now on has nothing to note within them."""
        before = dict(self.found)
        with suppress(Exception):  # what it is a part of fails at the same place, and is refused
            self.walk(relation)
        self.found = before

    def _below(self, child: pb.Relation) -> Input:
        schema = self.walk(child)
        return Input(child, stand_in(child, schema), schema)

    def note(self, construct: Construct, relation: Any = None, site: str = "", *, in_query: bool = False) -> None:
        """Note a construct."""
        self.found[Found(construct, site or (call_site(relation) if relation is not None else ""), in_query)] = None

    def expressions(
        self, expressions: Iterable[Expression], make: tuple[Any, Any], inputs: Sequence[Input], known: TypeScope | None = None
    ) -> TypeScope:
        """Note the constructs of expressions over a relation; return their types."""
        given = list(expressions)
        scope = known or TypeScope(self.analyzer, *make)
        self.scopes.setdefault(self._here, []).append(scope)
        columns = {column.name.lower(): column.dataType for each in inputs for column in each.schema.fields}
        for node, variables in scope.resolve(given):
            self._note_node(node, variables, scope, columns)
        return scope

    def _note_node(self, node: Expression, variables: Variables, scope: TypeScope, columns: dict[str, DataType]) -> None:
        if isinstance(node, ColumnName):
            kind = columns.get(node.parts[0].lower())
            for part in node.parts[1:] if kind is not None else ():
                self.note(Construct("[]", (type_class(kind) if kind is not None else UNKNOWN, "string")))
                kind = kind[part].dataType if isinstance(kind, StructType) and part in kind.names else None
            return
        for construct in constructs_of(node, lambda argument: scope.class_of(argument, variables)):
            self.note(construct, site=getattr(node, "call_site", ""))


@dataclass(frozen=True)
class Input:
    """What a relation reads: the relation below, an empty one with its columns, and these."""

    relation: pb.Relation
    empty: pb.Relation
    schema: StructType


def identity_of(relation: pb.Relation) -> Hashable:
    """Return what tells a relation from others: the number that the client gave it, which its copies in a plan share, or its place in memory."""
    has_number = relation.HasField("common") and relation.common.HasField("plan_id")
    return ("number", relation.common.plan_id) if has_number else ("place", id(relation))


Rule = Callable[[PlanWalker, pb.Relation, Sequence[Input]], None]


def _inputs(relation: pb.Relation, kind: str) -> list[pb.Relation]:
    body: Any = getattr(relation, kind) if kind != "unknown" else None
    if kind in ("join", "as_of_join", "lateral_join"):
        return [body.left, body.right]
    if kind == "set_op":
        return [body.left_input, body.right_input]
    if body is not None and "input" in {each.name for each in body.DESCRIPTOR.fields} and body.HasField("input"):
        return [body.input]
    return []


def _over(relation: pb.Relation, kind: str, inputs: Sequence[Input]) -> pb.Relation:
    """Return a relation over empty inputs."""
    if not inputs:
        return relation
    copied = pb.Relation()
    if relation.HasField("common"):
        copied.common.CopyFrom(relation.common)
    body, empty = getattr(relation, kind), [each.empty for each in inputs]
    target = getattr(copied, kind)
    for descriptor, value in body.ListFields():
        if descriptor.name in ("input", "left", "right", "left_input", "right_input"):
            continue
        if hasattr(value, "MergeFrom") and not hasattr(value, "DESCRIPTOR"):
            getattr(target, descriptor.name).MergeFrom(value)
        elif hasattr(value, "CopyFrom"):
            getattr(target, descriptor.name).CopyFrom(value)
        elif hasattr(value, "extend") or isinstance(value, list):
            getattr(target, descriptor.name).extend(value)
        else:
            setattr(target, descriptor.name, value)
    names = {"join": ("left", "right"), "set_op": ("left_input", "right_input")}.get(kind, ("input",))
    for name, each in zip(names, empty, strict=False):
        getattr(target, name).CopyFrom(each)
    return copied
