"""How far back the rows of a frame look, by Spark's analysed plan.

A column's look-back is the sum along its origins: windows of caudal's own features have their length in the name of the column
by which they are ordered (`looks_back`), and their input may look back itself. Anything else that mixes rows of several days (a window, a
grouping, a join without the day) has no bound. An operator that is not known to keep days apart counts as mixing them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from caudal.declarations.zone import zone
from caudal.engine.lineage import CONSTANT, SUBQUERIES, _join_type, _names, _numbers
from caudal.engine.plan import analysed_plan
from caudal.engine.plan_node import PlanNode, UnknownPlan, tree

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DAY, INSTANT, NULL = "day", "instant", "null"
_OWN = re.compile(r"__looks_back_(\d+|inf)(?:_\w+)?")
_ROW_BY_ROW = (
    "Filter", "SubqueryAlias", "View", "Repartition", "RepartitionByExpression", "RebalancePartitions", "ResolvedHint", "Sort", "Generate",
    "EventTimeWatermark", "CollectMetrics", "MapInPandas", "MapInArrow", "PythonMapInArrow", "Project", "Expand", "Union", "WithWindowDefinition",
)  # fmt: skip
_GROUPED = {
    "Aggregate": "groupingExpressions", "Deduplicate": "keys", "FlatMapGroupsInPandas": "groupingAttributes",
    "FlatMapGroupsInArrow": "groupingAttributes",
}  # fmt: skip
_DAY_S, _DAY_US = 86_400, 86_400_000_000
# Columns of caudal's own that are on the day of their row.
START, MIDNIGHT = "__caudal_start", "__caudal_midnight"


@dataclass(frozen=True)
class FrameInput:
    """What is known of an input frame of a function.

    Parameters
    ----------
    columns : its columns, in order
    event_time : str, optional, the column by whose day it is read; None if it is read as a whole
    instant : whether that column is an instant, whose day depends on a time zone
    """

    columns: Sequence[str]
    event_time: str | None = None
    instant: bool = False


@dataclass(frozen=True)
class LookBack:
    """How far back rows look.

    Parameters
    ----------
    seconds : float, infinite without a bound
    unbounded : descriptions of what has no bound
    """

    seconds: float = 0.0
    unbounded: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Value:
    """How far a value looks back, and whether it determines its row's day: ``day``, ``instant`` (by a zone's clock), ``null`` or
    None."""

    back_s: float = 0.0
    tells: str | None = None
    fields: tuple[_Value, ...] = ()

    @property
    def on_the_day(self) -> bool:
        return self.tells in (DAY, INSTANT) or any(part.on_the_day for part in self.fields)


@dataclass(frozen=True)
class _Rows:
    """The output of an operator.

    Parameters
    ----------
    columns : by Spark's numbers
    order : the columns' numbers in order
    deciding_s : how far back the decision looks which rows exist
    inputs : inputs below that are read by day
    """

    columns: Mapping[int, _Value]
    order: tuple[int, ...]
    deciding_s: float = 0.0
    inputs: frozenset[str] = field(default_factory=frozenset)


def looks_back(length_s: float, of: str = "") -> str:
    """Return the name of the time column that orders a feature's window with this look-back; ``of`` distinguishes two of them.

    Examples
    --------
    >>> looks_back(0.5), looks_back(float("inf"))
    ('__looks_back_500000', '__looks_back_inf')
    """
    return f"__looks_back_{'inf' if math.isinf(length_s) else math.ceil(length_s * 1_000_000)}" + (f"_{of}" if of else "")


def reach(frame: DataFrame, inputs: Mapping[str, FrameInput], *, declared: bool = False) -> LookBack:
    """Return how far back the rows of a frame look on its inputs.

    Parameters
    ----------
    inputs : inputs by name; the frame is made of frames with these aliases
    declared : whether a declaration bounds everything else; only caudal's own features count then
    """
    walk = _Walk(inputs, declared)
    try:
        rows = walk.rows(analysed_plan(frame))
    except Exception as error:  # an unexpected plan may look back without bound
        return LookBack(0.0 if declared else math.inf, (_unreadable(error),))
    if not rows.inputs and any(input_.event_time for input_ in inputs.values()) and not declared:
        return LookBack(math.inf, ("rows that did not stay on Spark",))
    seconds = max([rows.deciding_s, *(rows.columns[number].back_s for number in rows.order)])
    return LookBack(seconds, tuple(dict.fromkeys(walk.unbounded)) if math.isinf(seconds) else ())


def _unreadable(error: Exception) -> str:
    return str(error) if isinstance(error, UnknownPlan) else f"a plan that could not be read ({type(error).__name__})"


class _Walk:
    """One pass over a plan."""

    def __init__(self, inputs: Mapping[str, FrameInput], declared: bool) -> None:
        self._inputs, self._declared = inputs, declared
        self._shared: dict[int, _Rows] = {}
        self.unbounded: list[str] = []

    def rows(self, node: PlanNode, outer: Mapping[int, _Value] | None = None) -> _Rows:
        """Return an operator's output."""
        outer = outer or {}
        if node.kind == "WithCTE":
            *shared, plan = node.below
            for part in shared:
                self._shared[part.properties["id"]] = self.rows(part.below[0], outer)
            return self.rows(plan, outer)
        if node.kind == "CTERelationRef":
            return self._reference(node)
        below = [self.rows(part, outer) for part in node.below]
        if (input_rows := self._input(node, below)) is not None:
            return input_rows
        if not below:
            return self._leaf(node)
        values = {**outer, **{number: value for part in below for number, value in part.columns.items()}}
        inputs_by_day = frozenset(name for part in below for name in part.inputs)
        decided = max(part.deciding_s for part in below)
        decided = max([decided, *(value.back_s for value in self._deciding(node, values))])
        decided = max(decided, self._mixing(node, below, values) if inputs_by_day else 0.0)
        order, columns = self._columns(node, below, values, decided)
        return _Rows(columns, order, decided, inputs_by_day)

    def _without_bound(self, description: str) -> float:
        if self._declared:
            return 0.0
        self.unbounded.append(description)
        return math.inf

    def _reference(self, node: PlanNode) -> _Rows:
        order = tuple(part.attribute for part in node.expressions("output"))
        shared = self._shared.get(node.properties["cteId"])
        if shared is None:
            endless = self._without_bound("a query that refers to itself")
            return _Rows(dict.fromkeys(order, _Value(endless)), order, endless)
        columns = {number: shared.columns[shared_number] for number, shared_number in zip(order, shared.order, strict=True)}
        return replace(shared, columns=columns, order=order)

    def _input(self, node: PlanNode, below: Sequence[_Rows]) -> _Rows | None:
        if node.kind != "SubqueryAlias" or any(part.kind == "SubqueryAlias" for part in node.below[0].each()):
            return None
        name = node.properties["identifier"]["name"]
        declared_input, names = self._inputs.get(name), _names(node.below[0])
        if declared_input is None or set(names) != set(declared_input.columns):
            return None
        numbers = below[0].order
        tells = INSTANT if declared_input.instant and zone() != "UTC" else DAY
        columns = {
            number: _Value(tells=tells if column == declared_input.event_time else None)
            for number, column in zip(numbers, names, strict=True)
        }
        return _Rows(columns, numbers, 0.0, frozenset([name]) if declared_input.event_time else frozenset())

    def _leaf(self, node: PlanNode) -> _Rows:
        order = tuple(part.attribute for part in node.expressions("output"))
        # Rows handed to Spark may have been computed from any day; files that a function reads by itself have no day.
        is_dayless = node.kind in (*CONSTANT, "LogicalRelation")
        back_s = 0.0 if is_dayless else self._without_bound("rows that were handed to Spark")
        return _Rows(dict.fromkeys(order, _Value(back_s)), order, back_s)

    def _mixing(self, node: PlanNode, below: Sequence[_Rows], values: Mapping[int, _Value]) -> float:
        """Return how far back the choice of rows looks, because an operator combines rows of several days."""
        if node.kind in _ROW_BY_ROW or node.kind == "Window":
            return 0.0
        if node.kind in _GROUPED:
            groups = [self._of(part, values, 0.0) for part in node.expressions(_GROUPED[node.kind])]
            words = "dropDuplicates" if node.kind == "Deduplicate" else "a grouping"
            return 0.0 if any(value.on_the_day for value in groups) else self._without_bound(f"{words} without the day")
        if node.kind in ("Distinct", "Intersect", "Except"):
            has_day = any(below[0].columns[number].on_the_day for number in below[0].order)
            return 0.0 if has_day else self._without_bound("distinct rows without the day")
        if node.kind == "Join":
            if not (below[0].inputs and below[1].inputs) or self._same_day(node, values):
                return 0.0
            return self._without_bound("a join without the day")
        return self._without_bound(f"the operator {node.kind}")

    def _same_day(self, node: PlanNode, values: Mapping[int, _Value]) -> bool:
        for condition in node.expressions("condition"):
            waiting = [condition]
            while waiting:
                part = waiting.pop()
                if part.kind == "And":
                    waiting += part.below
                elif part.kind in ("EqualTo", "EqualNullSafe"):
                    sides = [self._of(side, values, 0.0) for side in part.below]
                    if all(side.on_the_day for side in sides):
                        return True
        return False

    def _deciding(self, node: PlanNode, values: Mapping[int, _Value]) -> Iterable[_Value]:
        names = {
            "Filter": ("condition",), "Join": ("condition",), "Aggregate": ("groupingExpressions",), "Deduplicate": ("keys",),
            "Generate": ("generator",), "FlatMapGroupsInPandas": ("groupingAttributes",), "FlatMapGroupsInArrow": ("groupingAttributes",),
        }.get(node.kind, ())  # fmt: skip
        for part in node.expressions(*names):
            yield self._of(part, values, 0.0)

    def _columns(
        self, node: PlanNode, below: Sequence[_Rows], column_values: Mapping[int, _Value], decided: float
    ) -> tuple[tuple[int, ...], dict[int, _Value]]:
        inherited = tuple(number for part in below for number in part.order)
        by_day = any(part.inputs for part in below)
        if node.kind == "Union":
            first = below[0].order
            return first, {number: _one_of([part.columns[part.order[at]] for part in below]) for at, number in enumerate(first)}
        if node.kind in ("Intersect", "Except", "Distinct"):
            return below[0].order, dict(below[0].columns)
        if node.kind in ("Project", "Aggregate", "Window"):
            names = {"Project": "projectList", "Aggregate": "aggregateExpressions", "Window": "windowExpressions"}
            order, values = [], dict(column_values)
            for part in node.expressions(names[node.kind]):
                order.append(part.attribute)
                values[part.attribute] = self._of(part, values, decided, by_day=by_day)
            return ((*inherited, *order) if node.kind == "Window" else tuple(order)), values
        if node.kind == "Join" and _join_type(node) in ("LeftSemi", "LeftAnti"):
            return below[0].order, dict(below[0].columns)
        farthest = max([0.0, decided, *(column_values[number].back_s for number in inherited)])
        if node.kind == "Generate":
            generated = [part.attribute for part in node.expressions("generatorOutput")]
            dropped = set(_numbers(node.properties.get("unrequiredChildIndex")))
            required = tuple(number for at, number in enumerate(inherited) if at not in dropped)
            return (*required, *generated), {**column_values, **dict.fromkeys(generated, _Value(farthest))}
        if (output := node.expressions("output", "serializer")) and node.kind != "View":
            output_numbers = tuple(part.attribute for part in output)
            return output_numbers, {number: column_values.get(number, _Value(farthest)) for number in output_numbers}
        return inherited, dict(column_values)

    def _of(self, node: PlanNode, column_values: Mapping[int, _Value], decided: float, *, by_day: bool = False) -> _Value:
        """Return how far an expression looks back, and whether it determines the day."""
        if node.kind == "AttributeReference":
            return column_values.get(node.attribute, _Value(self._without_bound(f"the column {node.properties.get('name')}")))
        if node.kind == "OuterReference":
            return _Value(max((self._of(part, column_values, decided).back_s for part in node.expressions("e")), default=0.0))
        if node.kind in SUBQUERIES:
            rows = self.rows(tree(node.properties["plan"]), column_values)
            inside = max([rows.deciding_s, *(rows.columns[number].back_s for number in rows.order)])
            return _Value(max(inside, self._without_bound("a subquery") if rows.inputs else 0.0))
        if node.kind == "Literal":
            return _Value(tells=NULL if node.properties.get("value") is None else None)
        parts = [self._of(part, column_values, decided, by_day=by_day) for part in node.below]
        back_s = max((part.back_s for part in parts), default=0.0)
        if node.kind == "WindowExpression":
            return _Value(self._window(node, max(back_s, decided), column_values, by_day))
        if node.kind == "Alias" and node.properties.get("name") in (START, MIDNIGHT):
            return _Value(back_s, DAY if zone() == "UTC" else INSTANT)
        if node.kind in (
            "Alias",
            "KnownNotNull",
            "KnownNullable",
            "PreciseTimestampConversion",
            "AggregateExpression",
        ):
            windowed = node.kind == "Alias" and (start := _start_of_window(node)) is not None
            if windowed and start is not None and self._of(start[0], column_values, decided).tells == DAY and start[1]:
                return _Value(back_s, DAY, (_Value(back_s, DAY), _Value(back_s)))
            return replace(parts[0], back_s=back_s)
        if node.kind == "CreateNamedStruct":
            return _Value(back_s, None, tuple(parts[1::2]))
        if node.kind == "GetStructField" and parts[0].fields:
            return replace(parts[0].fields[int(node.properties["ordinal"])], back_s=back_s)
        if node.kind in ("Coalesce", "If", "CaseWhen"):
            values = parts
            if node.kind == "If":
                values = parts[1:]
            if node.kind == "CaseWhen":
                values = [*parts[1::2], *(parts[-1:] if len(parts) % 2 else [])]
            return replace(_one_of(values), back_s=back_s)
        if node.kind in ("First", "Last", "Min", "Max", "AnyValue", "MinBy", "MaxBy"):
            return replace(parts[0], back_s=back_s)
        return _Value(back_s, _determined_day(node, parts))

    def _window(self, node: PlanNode, below: float, values: Mapping[int, _Value], by_day: bool) -> float:
        specification = node.below[1]
        orders = [part for part in specification.below if part.kind == "SortOrder"]
        for order in orders:
            own_window = _OWN.fullmatch(str(order.below[0].properties.get("name", "")))
            if own_window:
                length = own_window.group(1)
                return below + (float("inf") if length == "inf" else int(length) / 1_000_000)
        if not by_day:
            return below
        partition_keys = [
            part for part in specification.below if part.kind not in ("SortOrder", "SpecifiedWindowFrame", "UnspecifiedFrame$")
        ]
        if any(self._of(part, values, below).on_the_day for part in partition_keys):
            return below
        return max(below, self._without_bound("a window without the day"))


def _determined_day(node: PlanNode, parts: Sequence[_Value]) -> str | None:
    """Return whether a function of a time still determines the day."""
    if not parts:
        return None
    if node.kind == "Cast":
        kind = str(node.properties.get("dataType"))
        if parts[0].tells == NULL:
            return NULL
        return parts[0].tells if parts[0].tells == DAY and kind in ("date", "timestamp", "timestamp_ntz") else (
            INSTANT if parts[0].tells == INSTANT and kind == "timestamp" else None
        )  # fmt: skip
    if node.kind == "ParseToDate":
        return DAY if parts[0].tells == DAY else None
    if node.kind == "TruncTimestamp":
        unit = str(node.below[0].properties.get("value", "")).upper()
        fine = unit in ("DAY", "DD", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND")
        return DAY if fine and len(parts) > 1 and parts[1].tells == DAY else None
    if (
        node.kind == "FromUTCTimestamp"
        and parts[0].tells in (INSTANT, DAY)
        and str(node.below[1].properties.get("value")) == zone()
    ):
        return DAY
    return None


def _start_of_window(alias: PlanNode) -> tuple[PlanNode, bool] | None:
    """Return the time column of ``F.window``, and whether its windows are counted from midnight; None for another column."""
    struct = alias.below[0]
    if struct.kind != "CreateNamedStruct" or len(struct.below) != 4 or str(struct.below[0].properties.get("value")) != "start":
        return None
    inside = [part for part in struct.below[1].each() if part.kind == "PreciseTimestampConversion"]
    times = [part.below[0] for part in inside[1:]]
    widths = [part.below[1].properties.get("value") for part in struct.below[1].each() if part.kind == "Remainder"]
    offsets = {
        str(part.below[1].properties.get("value"))
        for part in struct.below[1].each()
        if part.kind == "Subtract" and part.below[1].kind == "Literal"
    }
    if not times or not widths:
        return None
    return times[0], all(_DAY_US % int(str(width)) == 0 for width in widths) and offsets <= {"0"}


def _one_of(values: Sequence[_Value]) -> _Value:
    """Return the look-back of one of several values, nulls aside."""
    back_s = max((value.back_s for value in values), default=0.0)
    non_null = [value for value in values if value.tells != NULL]
    if not non_null:
        return _Value(back_s, NULL)
    is_same = all(value.tells == non_null[0].tells for value in non_null)
    shapes = {len(value.fields) for value in non_null}
    fields = (
        tuple(_one_of(list(parts)) for parts in zip(*(value.fields for value in non_null), strict=True)) if len(shapes) == 1 else ()
    )
    return _Value(back_s, non_null[0].tells if is_same else None, fields)
