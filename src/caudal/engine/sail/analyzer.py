"""Types of expressions, asked of Sail's analyzer."""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.proto as pb
from pyspark.sql import functions as F
from pyspark.sql.connect.types import pyspark_types_to_proto_types
from pyspark.sql.types import ArrayType, DataType, IntegerType, MapType, NullType, StructType

from caudal.engine.sail.expressions import (
    Call,
    Cast,
    ColumnName,
    Expression,
    Lambda,
    Literal,
    Order,
    Over,
    PythonFunction,
    Renamed,
    Variable,
    children,
)
from caudal.engine.sail.protocol import NotExpressible, to_message
from caudal.engine.sail.types import UNKNOWN, type_class

if TYPE_CHECKING:
    from pyspark.sql.connect.client import SparkConnectClient

Variables = Mapping[str, DataType]
_KEPT, _LARGEST_BYTES = 4096, 1 << 16  # answers that are kept, and the size of a relation whose answer is
_ANSWERS: OrderedDict[tuple[object, ...], StructType] = OrderedDict()
_LOCK = threading.Lock()
_FUNCTION = re.compile(r'\bfunction_name: "(\w+)"')
_WORDS = frozenset({"and", "or", "not", "in"})  # operators whose names are words
_PLAN_ID = re.compile(r"\bplan_id: \d+")
_OUTSIDE = re.compile(r"^\s*(read|sql|catalog|with_relations|cached_remote_relation|extension) \{", re.MULTILINE)


def known_as(relation: pb.Relation) -> str | None:
    """Return a relation as text with its plans numbered in order, equal for equal plans; None where its columns depend on what lies outside of it.

    Outside lie files, tables and views, queries in SQL, which may name some, and functions that were registered by name.
    """
    if relation.ByteSize() > _LARGEST_BYTES:
        return None
    text = str(relation)
    if _OUTSIDE.search(text) or any(name not in _WORDS and not hasattr(F, name) for name in _FUNCTION.findall(text)):
        return None
    numbers: dict[str, str] = {}
    return _PLAN_ID.sub(lambda found: numbers.setdefault(found[0], f"plan_id: #{len(numbers)}"), text)


@dataclass
class Analyzer:
    """Asks Sail for the types of expressions over a relation."""

    client: SparkConnectClient

    def schema(self, relation: pb.Relation) -> StructType:
        """Return the columns of a relation; Sail's error if there are none.

        What was answered for the same relation before, in this session with its present settings, is not asked again: the plans of a table that is
        built again and again differ in the files that they read, and what is asked stands on empty relations with their columns.
        """
        text = known_as(relation)
        key = None if text is None else (self.client._session_id, self._settings, text)
        if key is not None:
            with _LOCK:
                if (known := _ANSWERS.get(key)) is not None:
                    _ANSWERS.move_to_end(key)
                    return known
        answer: Any = self.client._analyze(method="schema", plan=pb.Plan(root=relation))
        schema: StructType = answer.schema
        if key is not None:
            with _LOCK:
                _ANSWERS[key] = schema
                if len(_ANSWERS) > _KEPT:
                    _ANSWERS.popitem(last=False)
        return schema

    @cached_property
    def _settings(self) -> tuple[tuple[str, str | None], ...]:
        """The session's settings, on some of which types depend."""
        operation = pb.ConfigRequest.Operation(get_all=pb.ConfigRequest.GetAll())
        return tuple(sorted(self.client.config(operation).pairs))

    def types(self, make: Any, messages: Sequence[Any]) -> list[DataType | None]:
        """Return the types of expressions, None where Sail cannot tell; ``make`` returns the relation that selects them."""
        if not messages:
            return []
        try:
            fields = self.schema(make(messages)).fields
            return [each.dataType for each in fields[-len(messages) :]]
        except Exception:
            if len(messages) == 1:
                return [None]
            half = len(messages) // 2
            return [*self.types(make, messages[:half]), *self.types(make, messages[half:])]


@dataclass
class TypeScope:
    """The types of expressions over one relation.

    Attributes
    ----------
    analyzer : who is asked
    make : a function that returns the relation that selects messages over empty inputs
    make_whole : the same over the inputs themselves, for columns that are named by a relation further below
    render : writes an expression as ``make`` wants it
    known : by expression within its lambdas' variables, its type
    """

    analyzer: Analyzer
    make: Any
    make_whole: Any = None
    render: Callable[[Expression], Any] = to_message
    known: dict[tuple[Expression, tuple[tuple[str, str], ...]], DataType | None] = field(default_factory=dict)

    def resolve(self, expressions: Iterable[Expression], variables: Variables | None = None) -> list[tuple[Expression, Variables]]:
        """Ask for the types of all arguments within expressions; return every node with the variables around it."""
        given = variables or {}
        nodes: list[tuple[Expression, Variables]] = []
        lambdas: list[tuple[Call, Lambda, int]] = []

        def collect(expression: Expression) -> None:
            nodes.append((expression, given))
            for place, child in enumerate(children(expression)):
                if isinstance(child, Lambda) and isinstance(expression, Call):
                    lambdas.append((expression, child, place))
                else:
                    collect(child)

        for expression in expressions:
            collect(expression)
        wanted = {argument for expression, _ in nodes for argument in _arguments(expression)}
        self._ask([argument for argument in wanted if (argument, _key(given)) not in self.known], given)
        for call, function, place in lambdas:
            parameters = self.parameters(call, place, given)
            types = (
                dict(zip(function.parameters, parameters, strict=False))
                if parameters is not None
                else dict.fromkeys(function.parameters, NullType())
            )
            nodes += self.resolve([function.body], {**given, **types})
        return nodes

    def _ask(self, wanted: Sequence[Expression], variables: Variables) -> None:
        messages, asked = [], []
        for expression in wanted:
            try:
                messages.append(self.render(with_types(expression, variables)))
                asked.append(expression)
            except NotExpressible:
                self.known[expression, _key(variables)] = None
        answers = self.analyzer.types(self.make, messages)
        if self.make_whole is not None and None in answers:
            open_places = [place for place, answer in enumerate(answers) if answer is None]
            for place, answer in zip(
                open_places, self.analyzer.types(self.make_whole, [messages[place] for place in open_places]), strict=True
            ):
                answers[place] = answer
        for expression, answer in zip(asked, answers, strict=True):
            self.known[expression, _key(variables)] = answer

    def data_type(self, expression: Expression, variables: Variables | None = None) -> DataType | None:
        """Return the type of an expression that was resolved; None if it cannot be told."""
        if isinstance(expression, Variable):
            return (variables or {}).get(expression.name)
        return self.known.get((expression, _key(variables or {})))

    def class_of(self, expression: Expression, variables: Variables | None = None) -> str:
        """Return the class of its type."""
        if isinstance(expression, Literal):
            return expression.type_class
        found = self.data_type(expression, variables)
        return UNKNOWN if found is None else type_class(found)

    def parameters(self, call: Call, place: int, variables: Variables) -> list[DataType] | None:
        """Return the types of a lambda's parameters by the function that it is given to."""
        types = [
            None if isinstance(argument, Lambda) else self._type_of_argument(argument, variables) for argument in call.arguments
        ]
        first = types[0]
        second = types[1] if len(types) > 1 else None
        match call.name, first, second:
            case ("transform" | "filter", ArrayType(), _):
                return [first.elementType, IntegerType()]
            case ("exists" | "forall", ArrayType(), _):
                return [first.elementType]
            case ("array_sort", ArrayType(), _):
                return [first.elementType, first.elementType]
            case ("aggregate" | "reduce", ArrayType(), DataType()):
                return [second, first.elementType] if place == 2 else [second]
            case ("zip_with", ArrayType(), ArrayType()):
                return [first.elementType, second.elementType]
            case ("transform_keys" | "transform_values" | "map_filter", MapType(), _):
                return [first.keyType, first.valueType]
            case ("map_zip_with", MapType(), MapType()):
                return [first.keyType, first.valueType, second.valueType]
        return None

    def _type_of_argument(self, argument: Expression, variables: Variables) -> DataType | None:
        if isinstance(argument, Literal):
            if argument not in {expression for expression, _ in self.known}:
                self._ask([argument], variables)
            return self.known.get((argument, _key(variables)))
        return self.data_type(argument, variables)


def _arguments(expression: Expression) -> list[Expression]:
    """Return what must have a type for an expression to be looked up."""
    match expression:
        case Call(arguments=arguments) | PythonFunction(arguments=arguments):
            found = list(arguments)
        case Cast(argument=argument):
            found = [argument]
        case Over(function=function, partition=partition, order=order):
            found = [*children(function), *partition, *(key.key for key in order)]
        case Order(key=key):
            found = [key]
        case _:
            found = []
    plain = [argument.argument if isinstance(argument, Renamed) else argument for argument in found]
    return [argument for argument in plain if not isinstance(argument, Literal | Lambda | Variable)]


def with_types(expression: Expression, variables: Variables) -> Expression:
    """Return an expression with nulls of their types in the place of variables."""
    if not variables:
        return expression
    match expression:
        case Variable(name=name) if name in variables:
            return Literal(UNKNOWN, None, null_of(variables[name]))
        case ColumnName(parts=(name, *rest)) if name in variables and expression.plan_id is None:
            value: Expression = Literal(UNKNOWN, None, null_of(variables[name]))
            for part in rest:
                value = Call("[]", (value, Literal("string", part)))
            return value
        case Call(name=name, arguments=arguments):
            return Call(name, tuple(with_types(argument, variables) for argument in arguments))
        case Cast(argument=argument, to=to, mode=mode):
            return Cast(with_types(argument, variables), to, mode)
        case Renamed(argument=argument, name=name):
            return Renamed(with_types(argument, variables), name)
        case Lambda(parameters=parameters, body=body):
            return Lambda(parameters, with_types(body, {name: kind for name, kind in variables.items() if name not in parameters}))
    return expression


def null_of(kind: DataType) -> pb.Expression.Literal:
    """Return a null of a type."""
    value = pb.Expression.Literal()
    value.null.CopyFrom(pyspark_types_to_proto_types(kind))
    return value


def stand_in(relation: pb.Relation, schema: StructType) -> pb.Relation:
    """Return an empty relation with a relation's columns and identity, which costs nothing to analyze."""
    empty = pb.Relation()
    # Sail does not parse columns' metadata.
    empty.local_relation.schema = json.dumps(without_metadata(json.loads(schema.json())))
    if relation.HasField("common"):
        empty.common.CopyFrom(relation.common)
    return empty


def without_metadata(kind: Any) -> Any:
    """Return a type in JSON without the metadata of its columns."""
    if isinstance(kind, dict):
        return {name: {} if name == "metadata" else without_metadata(value) for name, value in kind.items()}
    return [without_metadata(value) for value in kind] if isinstance(kind, list) else kind


def _key(variables: Variables) -> tuple[tuple[str, str], ...]:
    return tuple((name, kind.simpleString()) for name, kind in sorted(variables.items()))
