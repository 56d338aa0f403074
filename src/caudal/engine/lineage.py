"""Which input columns each column of a table is made of, told by Spark's analysed plan. What the plan does not tell is unknown.

The plan is walked from its leaves. For each operator a rule says what its output columns are made of; an operator without a rule
passes on the columns that it has from below, and what else it gives is unknown. Nothing is guessed from names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from caudal.engine.plan import PlanNode, analysed, tree

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Column = tuple[str, str]  # table, column
IDENTITY, TRANSFORMATION, AGGREGATION = "identity", "transformation", "aggregation"
_STRENGTH = {IDENTITY: 0, TRANSFORMATION: 1, AGGREGATION: 2}
# Operators whose rows come out of a Python, R or JVM function or a script: what is in their columns cannot be seen.
HIDING = (
    "MapInPandas", "MapInArrow", "PythonMapInArrow", "FlatMapGroupsInPandas", "FlatMapGroupsInArrow", "FlatMapCoGroupsInPandas",
    "FlatMapCoGroupsInArrow", "FlatMapGroupsInPandasWithState", "TransformWithStateInPandas", "TransformWithStateInPySpark",
    "ScriptTransformation", "SerializeFromObject", "MapPartitionsInR", "FlatMapGroupsInR",
)  # fmt: skip
CONSTANT = ("Range", "OneRowRelation")
SUBQUERIES = ("ScalarSubquery", "Exists", "ListQuery", "LateralSubquery", "FunctionTableSubqueryArgumentExpression")
PYTHON = ("PythonUDF", "PythonUDAF", "PythonUDTF")


@dataclass(frozen=True)
class Made:
    """What a column is made of.

    Parameters
    ----------
    direct : how its value comes from input columns: ``identity``, ``transformation`` or ``aggregation``
    python : the input columns that pass through a Python function on their way
    indirect : input columns that have a say in the value without being part of it (a condition, a window's order)
    unknown : str, optional, what hides where the value comes from
    fields : of a structure, what each of its fields is made of
    null : it is nothing but a null that was written down
    """

    direct: Mapping[Column, str] = field(default_factory=dict)
    python: frozenset[Column] = frozenset()
    indirect: frozenset[tuple[Column, str]] = frozenset()
    unknown: str | None = None
    fields: Mapping[str, Made] | None = None
    null: bool = False

    def after(self, kind: str, *, python: bool = False) -> Made:
        """Return what comes of it after one step more."""
        direct = {one: max(was, kind, key=_STRENGTH.__getitem__) for one, was in self.direct.items()}
        return Made(direct, frozenset(direct) if python else self.python, self.indirect, self.unknown, null=self.null)

    def only_indirect(self, how: str) -> Made:
        """Return it as something that has a say alone."""
        return Made(indirect=self.indirect | {(one, how) for one in self.direct}, unknown=self.unknown)


@dataclass(frozen=True)
class Rows:
    """What an operator gives: its columns in order, by Spark's numbers, and what decides which rows there are."""

    columns: Mapping[int, Made]
    order: tuple[int, ...]
    deciding: Made = Made()


def column_lineage(frame: DataFrame, inputs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return for each column of a frame the input columns that it is made of, JSON-ready.

    Parameters
    ----------
    inputs : mapping of a table's name to its columns; the frame is made of frames that were aliased so

    Returns
    -------
    dict, ``columns``: ``{name: {"from": [{table, column, kind, python?}], "indirect": [{table, column, how}], "unknown"?: reason}}``;
    ``rows``: the columns that decide which rows there are, ``{"indirect": […], "unknown"?: reason}``
    """
    try:
        return _lineage(frame, inputs)
    except Exception as error:  # a plan that is not as expected is no reason to stop a build
        why = f"the plan could not be read: {type(error).__name__}"
        return {
            "columns": {name: {"from": [], "indirect": [], "unknown": why} for name in frame.columns},
            "rows": {"indirect": [], "unknown": why},
        }


def _lineage(frame: DataFrame, inputs: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    rows = _Walk(inputs).rows(analysed(frame))
    return {
        "columns": {name: _told(rows.columns[number]) for name, number in zip(frame.columns, rows.order, strict=True)},
        "rows": {name: one for name, one in _told(rows.deciding).items() if name != "from"},
    }


def merged(parts: Iterable[Made]) -> Made:
    """Return what is made of several things at once; the strongest kind holds."""
    direct: dict[Column, str] = {}
    python: frozenset[Column] = frozenset()
    indirect: frozenset[tuple[Column, str]] = frozenset()
    unknown = None
    for part in parts:
        for column, kind in part.direct.items():
            direct[column] = max(direct.get(column, kind), kind, key=_STRENGTH.__getitem__)
        python, indirect, unknown = python | part.python, indirect | part.indirect, unknown or part.unknown
    return Made(direct, python, indirect, unknown)


def one_of(parts: Sequence[Made]) -> Made:
    """Return what is one of several values; it stays itself where the others are nulls, and a structure does so field by field."""
    values = [part for part in parts if not part.null]
    if len(values) < 2:
        return replace(merged(parts), fields=values[0].fields if values else None, null=not values)
    shapes = [value.fields for value in values]
    if all(shape is not None and list(shape) == list(shapes[0] or ()) for shape in shapes):
        fields = {name: one_of([shape[name] for shape in shapes if shape is not None]) for name in shapes[0] or ()}
        return replace(merged(parts), fields=fields)
    same = all(value.direct == values[0].direct and value.direct and value.unknown is None for value in values)
    return merged(parts) if same else merged(parts).after(TRANSFORMATION)


class _Walk:
    """One pass over a plan."""

    def __init__(self, inputs: Mapping[str, Sequence[str]]) -> None:
        self._inputs = {name: set(columns) for name, columns in inputs.items()}
        self._shared: dict[int, Rows] = {}  # common table expressions by their number

    def rows(self, node: PlanNode, outer: Mapping[int, Made] | None = None) -> Rows:
        """Return what an operator gives."""
        outer = outer or {}
        if node.kind == "WithCTE":
            *shared, plan = node.below
            for one in shared:
                self._shared[one.said["id"]] = self.rows(one.below[0], outer)
            return self.rows(plan, outer)
        if node.kind == "CTERelationRef":
            return _renamed(self._shared.get(node.said["cteId"]), node)
        below = [self.rows(child, outer) for child in node.below]
        if (told := self._input(node, below)) is not None:
            return told
        if not below:
            return _leaf(node)
        known = {**outer, **{number: made for child in below for number, made in child.columns.items()}}
        deciding = merged([*(child.deciding for child in below), *self._deciding(node, known)])
        if node.kind in ("Union", "Intersect", "Except"):
            return _side_by_side(node.kind, below, deciding)
        order, columns = self._columns(node, below, known)
        return Rows(columns, order, deciding)

    def _input(self, node: PlanNode, below: Sequence[Rows]) -> Rows | None:
        """Return the columns of an input where its frame begins: the innermost alias of that name, over just its columns."""
        if node.kind != "SubqueryAlias" or any(one.kind == "SubqueryAlias" for one in node.below[0].each()):
            return None
        name = node.said["identifier"]["name"]
        names = _names(node.below[0])
        if name not in self._inputs or set(names) != self._inputs[name]:
            return None
        numbers = below[0].order
        return Rows({number: Made({(name, one): IDENTITY}) for number, one in zip(numbers, names, strict=True)}, numbers)

    def _columns(self, node: PlanNode, below: Sequence[Rows], known: Mapping[int, Made]) -> tuple[tuple[int, ...], dict[int, Made]]:
        """Return the columns that an operator with one or two inputs gives."""
        passed = tuple(number for child in below for number in child.order)
        if node.kind in HIDING:
            return _hidden(node, node.kind)
        if node.kind == "Project":
            return self._named(node.expressions("projectList"), known)
        if node.kind == "Aggregate":
            return self._named(node.expressions("aggregateExpressions"), known)
        if node.kind == "Window":
            order, made = self._named(node.expressions("windowExpressions"), known)
            return (*passed, *order), {**known, **made}
        if node.kind == "Generate":
            generator = node.expressions("generator")[0]
            given = [expression.attribute for expression in node.expressions("generatorOutput")]
            values = _generated(generator.kind, self._of(generator, known), len(given))
            dropped = set(_numbers(node.said.get("unrequiredChildIndex")))
            kept = tuple(number for at, number in enumerate(passed) if at not in dropped)
            return (*kept, *given), {**known, **dict(zip(given, values, strict=True))}
        if node.kind == "Expand":
            return self._expanded(node, known)
        if node.kind == "LateralJoin":
            right = self.rows(tree(node.said["right"][0]["plan"]), known)
            return (*passed, *right.order), {**known, **right.columns}
        if node.kind == "Join" and _join_type(node) in ("LeftSemi", "LeftAnti"):
            return below[0].order, dict(below[0].columns)
        if (output := node.expressions("output")) and node.kind != "View":
            order = tuple(one.attribute for one in output)
            return order, {number: known.get(number, Made(unknown=f"the operator {node.kind}")) for number in order}
        if node.kind == "AttachDistributedSequence":
            own = node.expressions("sequenceAttr")[0].attribute
            return (own, *passed), {**known, own: Made()}
        return passed, dict(known)

    def _named(self, expressions: Sequence[PlanNode], known: Mapping[int, Made]) -> tuple[tuple[int, ...], dict[int, Made]]:
        order = tuple(expression.attribute for expression in expressions)
        made: dict[int, Made] = {}
        for expression in expressions:
            made[expression.attribute] = self._of(expression, {**known, **made})
        return order, made

    def _expanded(self, node: PlanNode, known: Mapping[int, Made]) -> tuple[tuple[int, ...], dict[int, Made]]:
        order = tuple(expression.attribute for expression in node.expressions("output"))
        told = node.said.get("projections")
        if not told:
            return order, {number: known.get(number, Made(unknown="the operator Expand")) for number in order}
        made = [merged(self._of(tree(row[at]), known) for row in told) for at in range(len(order))]
        return order, dict(zip(order, made, strict=True))

    def _deciding(self, node: PlanNode, known: Mapping[int, Made]) -> Iterable[Made]:
        """Yield what has a say in which rows an operator gives, and in which order where that decides."""
        parts = {
            "Filter": (("condition",), "filter"), "Join": (("condition",), "join"), "Aggregate": (("groupingExpressions",), "group_by"),
            "Deduplicate": (("keys",), "group_by"), "Sort": (("order",), "sort"), "AsOfJoin": (("asOfCondition", "condition"), "join"),
            "FlatMapGroupsInPandas": (("groupingAttributes",), "group_by"),
        }.get(node.kind)  # fmt: skip
        if parts:
            for one in node.expressions(*parts[0]):
                yield self._of(one, known).only_indirect(parts[1])
        for expression in node.expressions("generator") if node.kind == "Generate" else ():
            yield self._of(expression, known).only_indirect("filter")

    def _of(self, node: PlanNode, known: Mapping[int, Made]) -> Made:
        """Return what an expression is made of."""
        if node.kind == "AttributeReference":
            return known.get(node.attribute, Made(unknown=f"the column {node.said.get('name')}"))
        if node.kind == "OuterReference":
            return merged(self._of(expression, known) for expression in node.expressions("e"))
        if node.kind in SUBQUERIES:
            rows = self.rows(tree(node.said["plan"]), known)
            inside = merged(rows.columns[number] for number in rows.order)
            below = [rows.deciding, *(self._of(child, known).only_indirect("filter") for child in node.below)]
            return merged([inside if node.kind == "ScalarSubquery" else inside.only_indirect("filter"), *below])
        if node.kind == "Literal":
            return Made(null=node.said.get("value") is None)
        parts = [self._of(child, known) for child in node.below]
        if node.kind in ("Alias", "KnownNotNull", "KnownNullable"):
            return parts[0]
        if node.kind == "WindowExpression":
            return merged([parts[0], parts[1].only_indirect("window")])
        if node.kind == "AggregateExpression":
            return merged([parts[0].after(AGGREGATION), *(part.only_indirect("filter") for part in parts[1:])])
        if node.kind == "CreateNamedStruct":
            fields = {str(name.said.get("value")): parts[2 * at + 1] for at, name in enumerate(node.below[::2])}
            return replace(merged(parts), fields=fields)
        if node.kind == "GetStructField" and parts[0].fields is not None:
            return list(parts[0].fields.values())[int(node.said["ordinal"])]
        if node.kind in ("CreateArray", "Explode", "Inline") and (held := one_of(parts)).fields is not None:
            return held
        if node.kind == "Coalesce":
            return one_of(parts)
        if node.kind in ("If", "CaseWhen"):
            conditions = range(0, len(parts) - len(parts) % 2, 2) if node.kind == "CaseWhen" else (0,)
            value = one_of([part for at, part in enumerate(parts) if at not in conditions])
            decided = merged([value, *(parts[at].only_indirect("conditional") for at in conditions)])
            return replace(decided, fields=_decided(value.fields, decided.indirect))
        made = merged(parts).after(AGGREGATION if node.kind == "PythonUDAF" else TRANSFORMATION, python=node.kind in PYTHON)
        return replace(made, null=node.kind == "Cast" and parts[0].null)


def _decided(fields: Mapping[str, Made] | None, indirect: frozenset[tuple[Column, str]]) -> dict[str, Made] | None:
    return None if fields is None else {name: replace(field, indirect=field.indirect | indirect) for name, field in fields.items()}


def _generated(kind: str, made: Made, columns: int) -> list[Made]:
    """Return the columns that a generator gives; structures keep their fields apart."""
    if made.fields is None:
        return [made.after(TRANSFORMATION)] * columns
    if kind == "Inline" and len(made.fields) == columns:
        return list(made.fields.values())
    return [made] if columns == 1 else [made.after(TRANSFORMATION)] * columns


def _leaf(node: PlanNode) -> Rows:
    """Return the columns of an operator that nothing is below, and that is no input of ours."""
    output = node.expressions("output")
    order = tuple(one.attribute for one in output)
    made = Made() if node.kind in CONSTANT else Made(unknown=f"rows that were handed to Spark ({node.kind})")
    return Rows(dict.fromkeys(order, made), order)


def _renamed(shared: Rows | None, node: PlanNode) -> Rows:
    order = tuple(expression.attribute for expression in node.expressions("output"))
    if shared is None:  # a query that refers to itself
        return Rows(dict.fromkeys(order, Made(unknown="a query that refers to itself")), order)
    return Rows({mine: shared.columns[theirs] for mine, theirs in zip(order, shared.order, strict=True)}, order, shared.deciding)


def _side_by_side(kind: str, below: Sequence[Rows], deciding: Made) -> Rows:
    """Return a union column by column; of an intersection or a difference the right side only decides."""
    first = below[0]
    if kind == "Union":
        made = {
            number: merged(child.columns[child.order[at]] for child in below if at < len(child.order))
            for at, number in enumerate(first.order)
        }
        return Rows(made, first.order, deciding)
    others = [merged(child.columns[number] for number in child.order).only_indirect("filter") for child in below[1:]]
    return Rows(first.columns, first.order, merged([deciding, *others]))


def _hidden(node: PlanNode, why: str) -> tuple[tuple[int, ...], dict[int, Made]]:
    order = tuple(expression.attribute for expression in node.expressions("output", "serializer"))
    return order, dict.fromkeys(order, Made(unknown=f"a function that Spark does not see into ({why})"))


def _names(node: PlanNode) -> list[str]:
    """Return the names of the columns of the operators that an input begins with."""
    held = node.expressions("projectList") or node.expressions("output")
    return [str(one.said.get("name")) for one in held] if held else (_names(node.below[0]) if node.below else [])


def _join_type(node: PlanNode) -> str:
    said = node.said.get("joinType") or {}
    return str(said.get("object") or said.get("product-class") or "").rsplit(".", 1)[-1].rstrip("$")


def _numbers(said: Any) -> list[int]:
    """Return numbers, which Spark's JSON tells as a list or as text."""
    return [int(part) for part in (said.strip("[]").split(",") if isinstance(said, str) else said or []) if str(part).strip()]


def _told(made: Made) -> dict[str, Any]:
    told: dict[str, Any] = {
        "from": [
            {"table": table, "column": column, "kind": kind, **({"python": True} if (table, column) in made.python else {})}
            for (table, column), kind in sorted(made.direct.items())
        ],
        "indirect": [{"table": table, "column": column, "how": how} for (table, column), how in sorted(made.indirect)],
    }
    return told if made.unknown is None else {**told, "unknown": made.unknown}
