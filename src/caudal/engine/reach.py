"""How far back the rows of a frame look, told by Spark's analysed plan.

Each column looks back the sum along what it is made of: windows of caudal's own features say their length in the name of the column
that they are ordered by (`looks_back`), and what they read may have looked back itself. Whatever else mixes rows of several days (a window, a
grouping, a join without the day) is without bound. What is not known to keep rows apart counts as mixing them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from caudal.declarations.zone import zone
from caudal.engine.lineage import CONSTANT, SUBQUERIES, _join_type, _names, _numbers
from caudal.engine.plan import PlanNode, analysed, tree

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
# Columns of caudal's own that lie on the day of their row.
START, MIDNIGHT = "__caudal_start", "__caudal_midnight"


@dataclass(frozen=True)
class Input:
    """What is known of a frame that a function is given.

    Parameters
    ----------
    columns : its columns, in order
    event_time : str, optional, the one whose day it is read by; None where it is read whole
    instant : whether that is an instant, whose day is a zone's
    """

    columns: Sequence[str]
    event_time: str | None = None
    instant: bool = False


@dataclass(frozen=True)
class Reach:
    """How far back rows look.

    Parameters
    ----------
    seconds : float, infinite where nothing bounds it
    unbounded : what has no bound, in words
    """

    seconds: float = 0.0
    unbounded: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Value:
    """How far a value looks back, and whether it tells the day of its row: ``day``, ``instant`` (a zone's clock tells), ``null`` or None."""

    back_s: float = 0.0
    tells: str | None = None
    fields: tuple[_Value, ...] = ()

    @property
    def on_the_day(self) -> bool:
        return self.tells in (DAY, INSTANT) or any(part.on_the_day for part in self.fields)


@dataclass(frozen=True)
class _Rows:
    """What an operator gives.

    Parameters
    ----------
    columns : by Spark's numbers
    order : the columns' numbers in order
    deciding_s : how far back it looks which rows there are
    inputs : inputs below that are read by days
    """

    columns: Mapping[int, _Value]
    order: tuple[int, ...]
    deciding_s: float = 0.0
    inputs: frozenset[str] = field(default_factory=frozenset)


def looks_back(length_s: float, of: str = "") -> str:
    """Return the name of the column of time by which a feature's window is ordered that looks back so long; ``of`` tells two apart.

    Examples
    --------
    >>> looks_back(0.5), looks_back(float("inf"))
    ('__looks_back_500000', '__looks_back_inf')
    """
    return f"__looks_back_{'inf' if math.isinf(length_s) else math.ceil(length_s * 1_000_000)}" + (f"_{of}" if of else "")


def reach(frame: DataFrame, inputs: Mapping[str, Input], *, declared: bool = False) -> Reach:
    """Return how far back the rows of a frame look on its inputs.

    Parameters
    ----------
    inputs : by name; the frame is made of frames that were aliased so
    declared : whether what has no bound by itself is bounded by a declaration; only caudal's own features count then
    """
    walk = _Walk(inputs, declared)
    try:
        rows = walk.rows(analysed(frame))
    except Exception as error:  # a plan that is not as expected may look back anywhere
        return Reach(0.0 if declared else math.inf, (f"a plan that could not be read ({type(error).__name__})",))
    if not rows.inputs and any(input_.event_time for input_ in inputs.values()) and not declared:
        return Reach(math.inf, ("rows that did not stay on Spark",))
    seconds = max([rows.deciding_s, *(rows.columns[number].back_s for number in rows.order)])
    return Reach(seconds, tuple(dict.fromkeys(walk.unbounded)) if math.isinf(seconds) else ())


class _Walk:
    """One pass over a plan."""

    def __init__(self, inputs: Mapping[str, Input], declared: bool) -> None:
        self._inputs, self._declared = inputs, declared
        self._shared: dict[int, _Rows] = {}
        self.unbounded: list[str] = []

    def rows(self, node: PlanNode, outer: Mapping[int, _Value] | None = None) -> _Rows:
        """Return what an operator gives."""
        outer = outer or {}
        if node.kind == "WithCTE":
            *shared, plan = node.below
            for part in shared:
                self._shared[part.said["id"]] = self.rows(part.below[0], outer)
            return self.rows(plan, outer)
        if node.kind == "CTERelationRef":
            return self._reference(node)
        below = [self.rows(part, outer) for part in node.below]
        if (given := self._input(node, below)) is not None:
            return given
        if not below:
            return self._leaf(node)
        known = {**outer, **{number: value for part in below for number, value in part.columns.items()}}
        parted = frozenset(name for part in below for name in part.inputs)
        decided = max(part.deciding_s for part in below)
        decided = max([decided, *(value.back_s for value in self._deciding(node, known))])
        decided = max(decided, self._mixing(node, below, known) if parted else 0.0)
        order, columns = self._columns(node, below, known, decided)
        return _Rows(columns, order, decided, parted)

    def _without_bound(self, what: str) -> float:
        if self._declared:
            return 0.0
        self.unbounded.append(what)
        return math.inf

    def _reference(self, node: PlanNode) -> _Rows:
        order = tuple(part.attribute for part in node.expressions("output"))
        shared = self._shared.get(node.said["cteId"])
        if shared is None:
            endless = self._without_bound("a query that refers to itself")
            return _Rows(dict.fromkeys(order, _Value(endless)), order, endless)
        columns = {mine: shared.columns[theirs] for mine, theirs in zip(order, shared.order, strict=True)}
        return replace(shared, columns=columns, order=order)

    def _input(self, node: PlanNode, below: Sequence[_Rows]) -> _Rows | None:
        if node.kind != "SubqueryAlias" or any(part.kind == "SubqueryAlias" for part in node.below[0].each()):
            return None
        name = node.said["identifier"]["name"]
        given, names = self._inputs.get(name), _names(node.below[0])
        if given is None or set(names) != set(given.columns):
            return None
        numbers = below[0].order
        tells = INSTANT if given.instant and zone() != "UTC" else DAY
        columns = {
            number: _Value(tells=tells if column == given.event_time else None)
            for number, column in zip(numbers, names, strict=True)
        }
        return _Rows(columns, numbers, 0.0, frozenset([name]) if given.event_time else frozenset())

    def _leaf(self, node: PlanNode) -> _Rows:
        order = tuple(part.attribute for part in node.expressions("output"))
        # What was handed to Spark may have been computed from the rows of any day; files that a function reads by itself have none.
        known = node.kind in (*CONSTANT, "LogicalRelation")
        back_s = 0.0 if known else self._without_bound("rows that were handed to Spark")
        return _Rows(dict.fromkeys(order, _Value(back_s)), order, back_s)

    def _mixing(self, node: PlanNode, below: Sequence[_Rows], known: Mapping[int, _Value]) -> float:
        """Return how far back it looks which rows an operator gives, because it puts rows of several days together."""
        if node.kind in _ROW_BY_ROW or node.kind == "Window":
            return 0.0
        if node.kind in _GROUPED:
            groups = [self._of(part, known, 0.0) for part in node.expressions(_GROUPED[node.kind])]
            words = "dropDuplicates" if node.kind == "Deduplicate" else "a grouping"
            return 0.0 if any(value.on_the_day for value in groups) else self._without_bound(f"{words} without the day")
        if node.kind in ("Distinct", "Intersect", "Except"):
            whole = any(below[0].columns[number].on_the_day for number in below[0].order)
            return 0.0 if whole else self._without_bound("distinct rows without the day")
        if node.kind == "Join":
            if not (below[0].inputs and below[1].inputs) or self._same_day(node, known):
                return 0.0
            return self._without_bound("a join without the day")
        return self._without_bound(f"the operator {node.kind}")

    def _same_day(self, node: PlanNode, known: Mapping[int, _Value]) -> bool:
        for condition in node.expressions("condition"):
            waiting = [condition]
            while waiting:
                part = waiting.pop()
                if part.kind == "And":
                    waiting += part.below
                elif part.kind in ("EqualTo", "EqualNullSafe"):
                    sides = [self._of(side, known, 0.0) for side in part.below]
                    if all(side.on_the_day for side in sides):
                        return True
        return False

    def _deciding(self, node: PlanNode, known: Mapping[int, _Value]) -> Iterable[_Value]:
        names = {
            "Filter": ("condition",), "Join": ("condition",), "Aggregate": ("groupingExpressions",), "Deduplicate": ("keys",),
            "Generate": ("generator",), "FlatMapGroupsInPandas": ("groupingAttributes",), "FlatMapGroupsInArrow": ("groupingAttributes",),
        }.get(node.kind, ())  # fmt: skip
        for part in node.expressions(*names):
            yield self._of(part, known, 0.0)

    def _columns(
        self, node: PlanNode, below: Sequence[_Rows], known: Mapping[int, _Value], decided: float
    ) -> tuple[tuple[int, ...], dict[int, _Value]]:
        passed = tuple(number for part in below for number in part.order)
        parted = any(part.inputs for part in below)
        if node.kind == "Union":
            first = below[0].order
            return first, {number: _one_of([part.columns[part.order[at]] for part in below]) for at, number in enumerate(first)}
        if node.kind in ("Intersect", "Except", "Distinct"):
            return below[0].order, dict(below[0].columns)
        if node.kind in ("Project", "Aggregate", "Window"):
            names = {"Project": "projectList", "Aggregate": "aggregateExpressions", "Window": "windowExpressions"}
            order, made = [], dict(known)
            for part in node.expressions(names[node.kind]):
                order.append(part.attribute)
                made[part.attribute] = self._of(part, made, decided, parted=parted)
            return ((*passed, *order) if node.kind == "Window" else tuple(order)), made
        if node.kind == "Join" and _join_type(node) in ("LeftSemi", "LeftAnti"):
            return below[0].order, dict(below[0].columns)
        farthest = max([0.0, decided, *(known[number].back_s for number in passed)])
        if node.kind == "Generate":
            given = [part.attribute for part in node.expressions("generatorOutput")]
            dropped = set(_numbers(node.said.get("unrequiredChildIndex")))
            kept = tuple(number for at, number in enumerate(passed) if at not in dropped)
            return (*kept, *given), {**known, **dict.fromkeys(given, _Value(farthest))}
        if (output := node.expressions("output", "serializer")) and node.kind != "View":
            given_out = tuple(part.attribute for part in output)
            return given_out, {number: known.get(number, _Value(farthest)) for number in given_out}
        return passed, dict(known)

    def _of(self, node: PlanNode, known: Mapping[int, _Value], decided: float, *, parted: bool = False) -> _Value:
        """Return how far an expression looks back, and whether it tells the day."""
        if node.kind == "AttributeReference":
            return known.get(node.attribute, _Value(self._without_bound(f"the column {node.said.get('name')}")))
        if node.kind == "OuterReference":
            return _Value(max((self._of(part, known, decided).back_s for part in node.expressions("e")), default=0.0))
        if node.kind in SUBQUERIES:
            rows = self.rows(tree(node.said["plan"]), known)
            inside = max([rows.deciding_s, *(rows.columns[number].back_s for number in rows.order)])
            return _Value(max(inside, self._without_bound("a subquery") if rows.inputs else 0.0))
        if node.kind == "Literal":
            return _Value(tells=NULL if node.said.get("value") is None else None)
        parts = [self._of(part, known, decided, parted=parted) for part in node.below]
        back_s = max((part.back_s for part in parts), default=0.0)
        if node.kind == "WindowExpression":
            return _Value(self._window(node, max(back_s, decided), known, parted))
        if node.kind == "Alias" and node.said.get("name") in (START, MIDNIGHT):
            return _Value(back_s, DAY if zone() == "UTC" else INSTANT)
        if node.kind in (
            "Alias",
            "KnownNotNull",
            "KnownNullable",
            "PreciseTimestampConversion",
            "AggregateExpression",
        ):
            windowed = node.kind == "Alias" and (start := _start_of_window(node)) is not None
            if windowed and start is not None and self._of(start[0], known, decided).tells == DAY and start[1]:
                return _Value(back_s, DAY, (_Value(back_s, DAY), _Value(back_s)))
            return replace(parts[0], back_s=back_s)
        if node.kind == "CreateNamedStruct":
            return _Value(back_s, None, tuple(parts[1::2]))
        if node.kind == "GetStructField" and parts[0].fields:
            return replace(parts[0].fields[int(node.said["ordinal"])], back_s=back_s)
        if node.kind in ("Coalesce", "If", "CaseWhen"):
            values = parts
            if node.kind == "If":
                values = parts[1:]
            if node.kind == "CaseWhen":
                values = [*parts[1::2], *(parts[-1:] if len(parts) % 2 else [])]
            return replace(_one_of(values), back_s=back_s)
        if node.kind in ("First", "Last", "Min", "Max", "AnyValue", "MinBy", "MaxBy"):
            return replace(parts[0], back_s=back_s)
        return _Value(back_s, _told(node, parts))

    def _window(self, node: PlanNode, below: float, known: Mapping[int, _Value], parted: bool) -> float:
        specification = node.below[1]
        orders = [part for part in specification.below if part.kind == "SortOrder"]
        for order in orders:
            named = _OWN.fullmatch(str(order.below[0].said.get("name", "")))
            if named:
                length = named.group(1)
                return below + (float("inf") if length == "inf" else int(length) / 1_000_000)
        if not parted:
            return below
        among = [
            part for part in specification.below if part.kind not in ("SortOrder", "SpecifiedWindowFrame", "UnspecifiedFrame$")
        ]
        if any(self._of(part, known, below).on_the_day for part in among):
            return below
        return max(below, self._without_bound("a window without the day"))


def _told(node: PlanNode, parts: Sequence[_Value]) -> str | None:
    """Return whether a function of a time still tells the day."""
    if not parts:
        return None
    if node.kind == "Cast":
        kind = str(node.said.get("dataType"))
        if parts[0].tells == NULL:
            return NULL
        return parts[0].tells if parts[0].tells == DAY and kind in ("date", "timestamp", "timestamp_ntz") else (
            INSTANT if parts[0].tells == INSTANT and kind == "timestamp" else None
        )  # fmt: skip
    if node.kind == "ParseToDate":
        return DAY if parts[0].tells == DAY else None
    if node.kind == "TruncTimestamp":
        unit = str(node.below[0].said.get("value", "")).upper()
        fine = unit in ("DAY", "DD", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND")
        return DAY if fine and len(parts) > 1 and parts[1].tells == DAY else None
    if node.kind == "FromUTCTimestamp" and parts[0].tells in (INSTANT, DAY) and str(node.below[1].said.get("value")) == zone():
        return DAY
    return None


def _start_of_window(alias: PlanNode) -> tuple[PlanNode, bool] | None:
    """Return the time that ``F.window`` cuts, and whether its windows follow one another from midnight; None for another column."""
    struct = alias.below[0]
    if struct.kind != "CreateNamedStruct" or len(struct.below) != 4 or str(struct.below[0].said.get("value")) != "start":
        return None
    inside = [part for part in struct.below[1].each() if part.kind == "PreciseTimestampConversion"]
    times = [part.below[0] for part in inside[1:]]
    widths = [part.below[1].said.get("value") for part in struct.below[1].each() if part.kind == "Remainder"]
    offsets = {
        str(part.below[1].said.get("value"))
        for part in struct.below[1].each()
        if part.kind == "Subtract" and part.below[1].kind == "Literal"
    }
    if not times or not widths:
        return None
    return times[0], all(_DAY_US % int(str(width)) == 0 for width in widths) and offsets <= {"0"}


def _one_of(values: Sequence[_Value]) -> _Value:
    """Return what is one of several values, nulls aside."""
    back_s = max((value.back_s for value in values), default=0.0)
    there = [value for value in values if value.tells != NULL]
    if not there:
        return _Value(back_s, NULL)
    same = all(value.tells == there[0].tells for value in there)
    shapes = {len(value.fields) for value in there}
    fields = (
        tuple(_one_of(list(parts)) for parts in zip(*(value.fields for value in there), strict=True)) if len(shapes) == 1 else ()
    )
    return _Value(back_s, there[0].tells if same else None, fields)
