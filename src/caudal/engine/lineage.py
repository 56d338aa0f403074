"""The input columns from which each column of a table is made, by Spark's analysed plan. What the plan does not show is unknown.

The plan is walked from its leaves. A rule per operator tells the origins of its output columns; an operator without a rule
passes on its input columns, and the origins of its other columns are unknown. Nothing is guessed from names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from caudal.engine.plan import analysed_plan
from caudal.engine.plan_node import PlanNode, UnknownPlan, tree

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Column = tuple[str, str]  # table, column
IDENTITY, TRANSFORMATION, AGGREGATION = "identity", "transformation", "aggregation"
_STRENGTH = {IDENTITY: 0, TRANSFORMATION: 1, AGGREGATION: 2}
# Operators whose rows come from a Python, R or JVM function or a script: the origins of their columns cannot be seen.
HIDING = (
    "MapInPandas", "MapInArrow", "PythonMapInArrow", "FlatMapGroupsInPandas", "FlatMapGroupsInArrow", "FlatMapCoGroupsInPandas",
    "FlatMapCoGroupsInArrow", "FlatMapGroupsInPandasWithState", "TransformWithStateInPandas", "TransformWithStateInPySpark",
    "ScriptTransformation", "SerializeFromObject", "MapPartitionsInR", "FlatMapGroupsInR",
)  # fmt: skip
CONSTANT = ("Range", "OneRowRelation")
SUBQUERIES = ("ScalarSubquery", "Exists", "ListQuery", "LateralSubquery", "FunctionTableSubqueryArgumentExpression")
PYTHON = ("PythonUDF", "PythonUDAF", "PythonUDTF")


@dataclass(frozen=True)
class Origins:
    """The origins of a column.

    Parameters
    ----------
    direct : how its value is derived from input columns: ``identity``, ``transformation`` or ``aggregation``
    python : the input columns that pass through a Python function
    indirect : input columns that influence the value without being part of it (a condition, a window's order)
    unknown : str, optional, what hides the value's origin
    fields : for a structure, the origins of each field
    null : bool, True for a literal null
    """

    direct: Mapping[Column, str] = field(default_factory=dict)
    python: frozenset[Column] = frozenset()
    indirect: frozenset[tuple[Column, str]] = frozenset()
    unknown: str | None = None
    fields: Mapping[str, Origins] | None = None
    null: bool = False

    def after(self, kind: str, *, python: bool = False) -> Origins:
        """Return the origins after a further step."""
        direct = {column: max(previous, kind, key=_STRENGTH.__getitem__) for column, previous in self.direct.items()}
        return Origins(direct, frozenset(direct) if python else self.python, self.indirect, self.unknown, null=self.null)

    def only_indirect(self, how: str) -> Origins:
        """Return all origins as indirect ones."""
        return Origins(indirect=self.indirect | {(column, how) for column in self.direct}, unknown=self.unknown)


@dataclass(frozen=True)
class OperatorOutput:
    """The output of an operator: its columns in order, by Spark's numbers, and the columns that decide which rows exist."""

    columns: Mapping[int, Origins]
    order: tuple[int, ...]
    deciding: Origins = Origins()


def column_lineage(frame: DataFrame, inputs: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Return the input columns from which each column of a frame is made, JSON-ready.

    Parameters
    ----------
    inputs : columns by table name; the frame is made of frames with these aliases

    Returns
    -------
    dict, ``columns``: ``{name: {"from": [{table, column, kind, python?}], "indirect": [{table, column, how}], "unknown"?: reason}}``;
    ``rows``: the columns that decide which rows exist, ``{"indirect": […], "unknown"?: reason}``
    """
    try:
        return _lineage(frame, inputs)
    except Exception as error:  # an unexpected plan must not stop a build
        why = f"the plan holds {error}" if isinstance(error, UnknownPlan) else f"the plan could not be read: {type(error).__name__}"
        return {
            "columns": {name: {"from": [], "indirect": [], "unknown": why} for name in frame.columns},
            "rows": {"indirect": [], "unknown": why},
        }


def _lineage(frame: DataFrame, inputs: Mapping[str, Sequence[str]]) -> dict[str, object]:
    rows = _Walk(inputs).rows(analysed_plan(frame))
    return {
        "columns": {name: _document(rows.columns[number]) for name, number in zip(frame.columns, rows.order, strict=True)},
        "rows": {name: part for name, part in _document(rows.deciding).items() if name != "from"},
    }


def merge_origins(parts: Iterable[Origins]) -> Origins:
    """Return the origins of a value made of several others; the strongest kind wins."""
    direct: dict[Column, str] = {}
    python: frozenset[Column] = frozenset()
    indirect: frozenset[tuple[Column, str]] = frozenset()
    unknown = None
    for part in parts:
        for column, kind in part.direct.items():
            direct[column] = max(direct.get(column, kind), kind, key=_STRENGTH.__getitem__)
        python, indirect, unknown = python | part.python, indirect | part.indirect, unknown or part.unknown
    return Origins(direct, python, indirect, unknown)


def alternative_origins(parts: Sequence[Origins]) -> Origins:
    """Return the origins of a value that is one of several; nulls do not count, and structures are merged field by field."""
    values = [part for part in parts if not part.null]
    if len(values) < 2:
        return replace(merge_origins(parts), fields=values[0].fields if values else None, null=not values)
    shapes = [value.fields for value in values]
    if all(shape is not None and list(shape) == list(shapes[0] or ()) for shape in shapes):
        fields = {name: alternative_origins([shape[name] for shape in shapes if shape is not None]) for name in shapes[0] or ()}
        return replace(merge_origins(parts), fields=fields)
    is_same = all(value.direct == values[0].direct and value.direct and value.unknown is None for value in values)
    return merge_origins(parts) if is_same else merge_origins(parts).after(TRANSFORMATION)


class _Walk:
    """One pass over a plan."""

    def __init__(self, inputs: Mapping[str, Sequence[str]]) -> None:
        self._inputs = {name: set(columns) for name, columns in inputs.items()}
        self._shared: dict[int, OperatorOutput] = {}  # common table expressions by their number

    def rows(self, node: PlanNode, outer: Mapping[int, Origins] | None = None) -> OperatorOutput:
        """Return an operator's output."""
        outer = outer or {}
        if node.kind == "WithCTE":
            *shared, plan = node.below
            for definition in shared:
                self._shared[definition.properties["id"]] = self.rows(definition.below[0], outer)
            return self.rows(plan, outer)
        if node.kind == "CTERelationRef":
            return _renamed(self._shared.get(node.properties["cteId"]), node)
        below = [self.rows(child, outer) for child in node.below]
        if (input_rows := self._input(node, below)) is not None:
            return input_rows
        if not below:
            return _leaf(node)
        origins = {**outer, **{number: origin for child in below for number, origin in child.columns.items()}}
        deciding = merge_origins([*(child.deciding for child in below), *self._deciding(node, origins)])
        if node.kind in ("Union", "Intersect", "Except"):
            return _side_by_side(node.kind, below, deciding)
        order, columns = self._columns(node, below, origins)
        return OperatorOutput(columns, order, deciding)

    def _input(self, node: PlanNode, below: Sequence[OperatorOutput]) -> OperatorOutput | None:
        """Return an input's columns at the start of its frame: the innermost alias of that name, over exactly its columns."""
        if node.kind != "SubqueryAlias" or any(child.kind == "SubqueryAlias" for child in node.below[0].each()):
            return None
        name = node.properties["identifier"]["name"]
        names = _names(node.below[0])
        if name not in self._inputs or set(names) != self._inputs[name]:
            return None
        numbers = below[0].order
        return OperatorOutput(
            {number: Origins({(name, column): IDENTITY}) for number, column in zip(numbers, names, strict=True)}, numbers
        )

    def _columns(
        self, node: PlanNode, below: Sequence[OperatorOutput], origins: Mapping[int, Origins]
    ) -> tuple[tuple[int, ...], dict[int, Origins]]:
        """Return the output columns of an operator with one or two inputs."""
        inherited = tuple(number for child in below for number in child.order)
        if node.kind in HIDING:
            return _unknown_origins(node, node.kind)
        if node.kind == "Project":
            return self._named_columns(node.expressions("projectList"), origins)
        if node.kind == "Aggregate":
            return self._named_columns(node.expressions("aggregateExpressions"), origins)
        if node.kind == "Window":
            order, windowed = self._named_columns(node.expressions("windowExpressions"), origins)
            return (*inherited, *order), {**origins, **windowed}
        if node.kind == "Generate":
            generator = node.expressions("generator")[0]
            generated = [expression.attribute for expression in node.expressions("generatorOutput")]
            values = _generated(generator.kind, self._of(generator, origins), len(generated))
            dropped = set(_numbers(node.properties.get("unrequiredChildIndex")))
            required = tuple(number for at, number in enumerate(inherited) if at not in dropped)
            return (*required, *generated), {**origins, **dict(zip(generated, values, strict=True))}
        if node.kind == "Expand":
            return self._expanded_columns(node, origins)
        if node.kind == "LateralJoin":
            right = self.rows(tree(node.properties["right"][0]["plan"]), origins)
            return (*inherited, *right.order), {**origins, **right.columns}
        if node.kind == "Join" and _join_type(node) in ("LeftSemi", "LeftAnti"):
            return below[0].order, dict(below[0].columns)
        if (output := node.expressions("output")) and node.kind != "View":
            order = tuple(column.attribute for column in output)
            return order, {number: origins.get(number, Origins(unknown=f"the operator {node.kind}")) for number in order}
        if node.kind == "AttachDistributedSequence":
            sequence = node.expressions("sequenceAttr")[0].attribute
            return (sequence, *inherited), {**origins, sequence: Origins()}
        return inherited, dict(origins)

    def _named_columns(
        self, expressions: Sequence[PlanNode], origins: Mapping[int, Origins]
    ) -> tuple[tuple[int, ...], dict[int, Origins]]:
        order = tuple(expression.attribute for expression in expressions)
        named: dict[int, Origins] = {}
        for expression in expressions:
            named[expression.attribute] = self._of(expression, {**origins, **named})
        return order, named

    def _expanded_columns(self, node: PlanNode, origins: Mapping[int, Origins]) -> tuple[tuple[int, ...], dict[int, Origins]]:
        order = tuple(expression.attribute for expression in node.expressions("output"))
        projections = node.properties.get("projections")
        if not projections:
            return order, {number: origins.get(number, Origins(unknown="the operator Expand")) for number in order}
        merged_origins = [merge_origins(self._of(tree(row[at]), origins) for row in projections) for at in range(len(order))]
        return order, dict(zip(order, merged_origins, strict=True))

    def _deciding(self, node: PlanNode, origins: Mapping[int, Origins]) -> Iterable[Origins]:
        """Yield the origins that decide which rows an operator outputs, and their order if it matters."""
        parts = {
            "Filter": (("condition",), "filter"), "Join": (("condition",), "join"), "Aggregate": (("groupingExpressions",), "group_by"),
            "Deduplicate": (("keys",), "group_by"), "Sort": (("order",), "sort"), "AsOfJoin": (("asOfCondition", "condition"), "join"),
            "FlatMapGroupsInPandas": (("groupingAttributes",), "group_by"),
        }.get(node.kind)  # fmt: skip
        if parts:
            for part in node.expressions(*parts[0]):
                yield self._of(part, origins).only_indirect(parts[1])
        for expression in node.expressions("generator") if node.kind == "Generate" else ():
            yield self._of(expression, origins).only_indirect("filter")

    def _of(self, node: PlanNode, origins: Mapping[int, Origins]) -> Origins:
        """Return the origins of an expression."""
        if node.kind == "AttributeReference":
            return origins.get(node.attribute, Origins(unknown=f"the column {node.properties.get('name')}"))
        if node.kind == "OuterReference":
            return merge_origins(self._of(expression, origins) for expression in node.expressions("e"))
        if node.kind in SUBQUERIES:
            rows = self.rows(tree(node.properties["plan"]), origins)
            inside = merge_origins(rows.columns[number] for number in rows.order)
            below = [rows.deciding, *(self._of(child, origins).only_indirect("filter") for child in node.below)]
            return merge_origins([inside if node.kind == "ScalarSubquery" else inside.only_indirect("filter"), *below])
        if node.kind == "Literal":
            return Origins(null=node.properties.get("value") is None)
        parts = [self._of(child, origins) for child in node.below]
        if node.kind in ("Alias", "KnownNotNull", "KnownNullable"):
            return parts[0]
        if node.kind == "WindowExpression":
            return merge_origins([parts[0], parts[1].only_indirect("window")])
        if node.kind == "AggregateExpression":
            return merge_origins([parts[0].after(AGGREGATION), *(part.only_indirect("filter") for part in parts[1:])])
        if node.kind == "CreateNamedStruct":
            fields = {str(name.properties.get("value")): parts[2 * at + 1] for at, name in enumerate(node.below[::2])}
            return replace(merge_origins(parts), fields=fields)
        if node.kind == "GetStructField" and parts[0].fields is not None:
            return list(parts[0].fields.values())[int(node.properties["ordinal"])]
        if node.kind in ("CreateArray", "Explode", "Inline") and (element := alternative_origins(parts)).fields is not None:
            return element
        if node.kind == "Coalesce":
            return alternative_origins(parts)
        if node.kind in ("If", "CaseWhen"):
            conditions = range(0, len(parts) - len(parts) % 2, 2) if node.kind == "CaseWhen" else (0,)
            value = alternative_origins([part for at, part in enumerate(parts) if at not in conditions])
            decided = merge_origins([value, *(parts[at].only_indirect("conditional") for at in conditions)])
            return replace(decided, fields=_decided(value.fields, decided.indirect))
        derived = merge_origins(parts).after(
            AGGREGATION if node.kind == "PythonUDAF" else TRANSFORMATION, python=node.kind in PYTHON
        )
        return replace(derived, null=node.kind == "Cast" and parts[0].null)


def _decided(fields: Mapping[str, Origins] | None, indirect: frozenset[tuple[Column, str]]) -> dict[str, Origins] | None:
    return None if fields is None else {name: replace(field, indirect=field.indirect | indirect) for name, field in fields.items()}


def _generated(kind: str, origin: Origins, columns: int) -> list[Origins]:
    """Return the columns of a generator; structures keep their fields apart."""
    if origin.fields is None:
        return [origin.after(TRANSFORMATION)] * columns
    if kind == "Inline" and len(origin.fields) == columns:
        return list(origin.fields.values())
    return [origin] if columns == 1 else [origin.after(TRANSFORMATION)] * columns


def _leaf(node: PlanNode) -> OperatorOutput:
    """Return the columns of a leaf operator that is not an input."""
    output = node.expressions("output")
    order = tuple(column.attribute for column in output)
    origin = Origins() if node.kind in CONSTANT else Origins(unknown=f"rows that were handed to Spark ({node.kind})")
    return OperatorOutput(dict.fromkeys(order, origin), order)


def _renamed(shared: OperatorOutput | None, node: PlanNode) -> OperatorOutput:
    order = tuple(expression.attribute for expression in node.expressions("output"))
    if shared is None:  # a query that refers to itself
        return OperatorOutput(dict.fromkeys(order, Origins(unknown="a query that refers to itself")), order)
    return OperatorOutput(
        {number: shared.columns[shared_number] for number, shared_number in zip(order, shared.order, strict=True)},
        order,
        shared.deciding,
    )


def _side_by_side(kind: str, below: Sequence[OperatorOutput], deciding: Origins) -> OperatorOutput:
    """Return a union column by column; for an intersection or a difference the right side only decides."""
    first = below[0]
    if kind == "Union":
        columns = {
            number: merge_origins(child.columns[child.order[at]] for child in below if at < len(child.order))
            for at, number in enumerate(first.order)
        }
        return OperatorOutput(columns, first.order, deciding)
    others = [merge_origins(child.columns[number] for number in child.order).only_indirect("filter") for child in below[1:]]
    return OperatorOutput(first.columns, first.order, merge_origins([deciding, *others]))


def _unknown_origins(node: PlanNode, why: str) -> tuple[tuple[int, ...], dict[int, Origins]]:
    order = tuple(expression.attribute for expression in node.expressions("output", "serializer"))
    return order, dict.fromkeys(order, Origins(unknown=f"a function that Spark does not see into ({why})"))


def _names(node: PlanNode) -> list[str]:
    """Return the column names of an input's first operators."""
    expressions = node.expressions("projectList") or node.expressions("output")
    return (
        [str(expression.properties.get("name")) for expression in expressions]
        if expressions
        else (_names(node.below[0]) if node.below else [])
    )


def _join_type(node: PlanNode) -> str:
    join_type = node.properties.get("joinType") or {}
    return str(join_type.get("object") or join_type.get("product-class") or "").rsplit(".", 1)[-1].rstrip("$")


def _numbers(listed: str | list[int] | None) -> list[int]:
    """Return numbers, which Spark's JSON writes as a list or as text."""
    return [int(part) for part in (listed.strip("[]").split(",") if isinstance(listed, str) else listed or []) if str(part).strip()]


def _document(origin: Origins) -> dict[str, object]:
    document: dict[str, object] = {
        "from": [
            {"table": table, "column": column, "kind": kind, **({"python": True} if (table, column) in origin.python else {})}
            for (table, column), kind in sorted(origin.direct.items())
        ],
        "indirect": [{"table": table, "column": column, "how": how} for (table, column), how in sorted(origin.indirect)],
    }
    return document if origin.unknown is None else {**document, "unknown": origin.unknown}
