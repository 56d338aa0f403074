"""Joins of a stream with another stream, or with a table, as one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, NamedTuple

from caudal.declarations.connection import CHANNELLED
from caudal.declarations.node import Node, Source, Table
from caudal.declarations.statistics import Statistics
from caudal.errors import DeclarationProblem, nearest

How = Literal["inner", "left"]


@dataclass(frozen=True)
class Join(Table):
    """A table with a row for each two matching rows; with ``how="left"`` also a row for each left row without a match.

    Parameters
    ----------
    inputs : the stream on the left, and the stream or table on the right
    on : columns that must be equal on both sides
    within_s : float, the greatest distance in event time of two rows of streams; None where the right side is a table
    selected : columns that the join keeps besides keys and times; None: all
    """

    kind: ClassVar[str] = "join"
    on: tuple[str, ...] = ()
    within_s: float | None = None
    how: How = "inner"
    selected: tuple[str, ...] | None = None

    @property
    def left(self) -> str:
        """The name of the stream."""
        return self.inputs[0]

    @property
    def right(self) -> str:
        """The name of the right side."""
        return self.inputs[1]


@dataclass(frozen=True)
class JoinShape:
    """The columns of a join and where they come from.

    Parameters
    ----------
    left_keys, right_keys : columns that identify a row of a stream; empty for a table that is no stream
    left_at, right_at : the event time column
    left : columns of the left side that the join keeps
    right : column of the right side → its name in the join
    within_us : int, microseconds; None where the right side is a table
    """

    name: str
    where: str
    left_keys: tuple[str, ...]
    right_keys: tuple[str, ...]
    left_at: str
    right_at: str | None
    left: tuple[str, ...]
    right: Mapping[str, str]
    on: tuple[str, ...]
    within_us: int | None
    how: How

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the join, in order."""
        return (*self.left, *self.right.values())

    @property
    def matched(self) -> str:
        """The column that is null in a row without a match: the right side's event time."""
        assert self.right_at is not None
        return self.right[self.right_at]


class JoinProblem(NamedTuple):
    """A problem of a join: a sentence, the nearest right name, and the fix."""

    what: str
    nearest: str | None
    fix: str
    column: str | None = None


@dataclass(frozen=True)
class _Sides:
    declared: Join
    left: Node
    right: Node
    right_names: Sequence[str] | None = field(default=None)  # None: not known before the table is built

    @property
    def streams(self) -> bool:
        return is_stream(self.right)


def is_stream(node: Node | None) -> bool:
    """Return whether a node is a stream source, or a table of statistics of one."""
    return isinstance(node, Statistics) or (isinstance(node, Source) and isinstance(node.connection, CHANNELLED))


def known_columns_of_join(declared: Join, left: Node, right: Node) -> dict[str, str]:
    """Return the columns of a join that are known later than the left row's event time, each with the column that holds that time."""
    if not is_stream(left) or not is_stream(right) or list(problems(declared, left, right)):
        return {}
    joined = join_shape(declared, left, right)
    known_at: dict[str, str] = {}
    if isinstance(left, Statistics):
        known_at = {name: "window_end" for name in joined.left if name not in stream_keys(left)}
    time_column = joined.right.get("window_end", "window_end") if isinstance(right, Statistics) else joined.matched
    return known_at | {name: time_column for name in joined.right.values() if name not in (time_column, joined.matched)}


def stream_keys(stream: Node) -> tuple[str, ...]:
    """Return the columns that identify a row of a stream."""
    return ("device", "sensor", "window_start", "window_end") if isinstance(stream, Statistics) else ("device", "seq", "at")


def stream_columns(stream: Node) -> tuple[str, ...]:
    """Return the columns of a stream's table."""
    if isinstance(stream, Source):
        return stream.schema.names if stream.schema else ()
    assert isinstance(stream, Statistics)
    quantiles = ("q" + f"{q:.4f}".partition(".")[2].rstrip("0").ljust(2, "0") for q in stream.quantiles)
    figures = ("readings", "missing", "min", "max", "mean", "std", *quantiles)
    return (*stream_keys(stream), *figures, *(["ranges"] if stream.ranges else []), *(f"{name}_power" for name in stream.bands))


def join_shape(declared: Join, left: Node, right: Node, right_names: Sequence[str] | None = None) -> JoinShape:
    """Return the shape of a join whose declaration has been checked (see `problems`).

    Parameters
    ----------
    right_names : columns of the right side, where it is a table
    """
    stream = is_stream(right)
    right_columns = stream_columns(right) if stream else tuple(name for name in right_names or () if not name.startswith("_"))
    left_columns = stream_columns(left)
    named = {name: f"{right.name}_{name}" if name in left_columns else name for name in right_columns if name not in declared.on}
    times = ("window_start", "window_end") if isinstance(right, Statistics) else ("at",) if stream else ()
    always_kept = {*stream_keys(left), *declared.on}
    if declared.selected is not None:
        left_columns = tuple(name for name in left_columns if name in declared.selected or name in always_kept)
        named = {name: other for name, other in named.items() if other in declared.selected or name in times}
    return JoinShape(
        declared.name, str(declared.where), stream_keys(left), stream_keys(right) if stream else (), left.event_time or "", right.event_time if stream else None,
        left_columns, named, declared.on, round(declared.within_s * 1e6) if stream and declared.within_s is not None else None, declared.how,
    )  # fmt: skip


def checked_shape(declared: Join, left: Node, right: Node, right_names: Sequence[str]) -> JoinShape:
    """Return the shape of a join after checking it against the actual columns of the right side.

    Raises
    ------
    DeclarationProblem : the join names columns that do not exist
    """
    for problem in problems(declared, left, right, right_names):
        raise DeclarationProblem(
            problem.what,
            nearest=problem.nearest,
            fix=problem.fix,
            where=str(declared.where),
            table=declared.name,
            column=problem.column,
        )
    return join_shape(declared, left, right, right_names)


def problems(declared: Join, left: Node, right: Node, right_names: Sequence[str] | None = None) -> Iterator[JoinProblem]:
    """Yield the problems of a join of two nodes.

    Parameters
    ----------
    right_names : columns of the right side where it is a table; None where they are not known yet
    """
    sides = _Sides(declared, left, right, stream_columns(right) if is_stream(right) else right_names)
    problems_found = list(_problems_of_inputs(sides)) or list(_problems_of_time(sides))
    yield from problems_found
    if not problems_found:
        yield from _problems_of_columns(sides)


def _problems_of_inputs(sides: _Sides) -> Iterator[JoinProblem]:
    declared, left, right = sides.declared, sides.left, sides.right
    name = f"Join '{declared.name}'"
    if left.name == right.name:
        yield JoinProblem(f"{name} is of '{left.name}' and itself.", None, "Name two inputs.")
    elif isinstance(left, Join) or isinstance(right, Join):
        again = left if isinstance(left, Join) else right
        yield JoinProblem(
            f"{name} is of '{again.name}', which is a join itself.", None, "Write a table: a function of both, with @product.table."
        )
    elif not is_stream(left) and not is_stream(right):
        yield JoinProblem(
            f"{name} is of '{left.name}' and '{right.name}', neither of which is a stream.", None,
            f"Write a table: @product.table, def {declared.name}({left.name}, {right.name}).",
        )  # fmt: skip
    elif not is_stream(left):
        yield JoinProblem(
            f"{name} has '{left.name}' on its left, which is no stream.", None,
            f"The stream comes first: product.join('{declared.name}', {right.name}, {left.name}, ...).",
        )  # fmt: skip
    if declared.how not in ("inner", "left"):
        yield JoinProblem(
            f"{name} has the unknown how='{declared.how}'.", nearest(declared.how, ("inner", "left")), "Use inner or left."
        )


def _problems_of_time(sides: _Sides) -> Iterator[JoinProblem]:
    declared, right = sides.declared, sides.right
    name = f"Join '{declared.name}'"
    if sides.streams and declared.within_s is None:
        yield JoinProblem(
            f"{name} of two streams does not say how far apart in time two rows may be that belong together.", None,
            'Say it: within="2 minutes".',
        )  # fmt: skip
    if not sides.streams and declared.within_s is not None:
        yield JoinProblem(
            f"{name} says within=, but '{right.name}' is no stream: its rows have no time to be near to.",
            None,
            "Leave within= away.",
        )
    if declared.within_s is not None and declared.within_s < 0:
        yield JoinProblem(f"{name} has a negative within=.", None, "It is a distance: 0 is the same time.")


def _problems_of_columns(sides: _Sides) -> Iterator[JoinProblem]:
    declared, left, right = sides.declared, sides.left, sides.right
    name = f"Join '{declared.name}'"
    if not declared.on:
        yield JoinProblem(f"{name} names no column that has to be equal.", None, 'Say it: on="device".')
    for node, names in ((left, stream_columns(left)), (right, sides.right_names)):
        for column_name in declared.on:
            if names is not None and column_name not in names:
                yield JoinProblem(
                    f"{name} is on '{column_name}', which '{node.name}' does not have.",
                    nearest(column_name, names),
                    f"It has {', '.join(names)}.",
                    column_name,
                )
    for column_name in declared.on:
        if sides.streams and column_name in (left.event_time, right.event_time):
            yield JoinProblem(
                f"{name} is on the event time '{column_name}'.",
                None,
                f"Take '{column_name}' out of on=; within=0 says that times are equal.",
                column_name,
            )
    if sides.right_names is None or any(
        column not in stream_columns(left) or column not in sides.right_names for column in declared.on
    ):
        return
    joined = join_shape(replace(declared, selected=None), left, right, sides.right_names)
    for column_name in sorted({column for column in joined.columns if joined.columns.count(column) > 1}):
        yield JoinProblem(
            f"{name} would have the column '{column_name}' twice.",
            None,
            f"Rename it in '{left.name}' or '{right.name}'.",
            column_name,
        )
    for column_name in declared.selected or ():
        if column_name not in joined.columns:
            yield JoinProblem(
                f"{name} names the column '{column_name}' in columns=, which it does not have.", nearest(column_name, joined.columns),
                f"It has {', '.join(joined.columns)}.", column_name,
            )  # fmt: skip
