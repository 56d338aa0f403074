"""A stream beside another stream, or beside a table: rows that belong together, as one table."""

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
    """One row for each two rows that belong together; with ``how="left"`` one, too, for each left row without a match.

    Parameters
    ----------
    inputs : the stream on the left, and what is looked up beside it
    on : columns of both that are equal
    within_s : float, the greatest distance in event time of two rows of streams; None beside a table that is no stream
    wanted : columns of the join that are asked for, beside keys and times; None: all
    shape : what of either side goes where, beside a stream; beside other tables it is told by their columns
    """

    kind: ClassVar[str] = "join"
    on: tuple[str, ...] = ()
    within_s: float | None = None
    how: How = "inner"
    wanted: tuple[str, ...] | None = None

    @property
    def left(self) -> str:
        """The name of the stream."""
        return self.inputs[0]

    @property
    def right(self) -> str:
        """The name of what is looked up."""
        return self.inputs[1]


@dataclass(frozen=True)
class Shape:
    """What of either side goes where.

    Parameters
    ----------
    left_keys, right_keys : columns that name a row of a stream; none of a table that is no stream
    left_at, right_at : event time
    left : columns of the left side that stay
    right : column of the right side → its name in the join
    within_us : int, microseconds; None beside a table that is no stream
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
        """The column that is null where a left row was given without a match: the right side's event time."""
        assert self.right_at is not None
        return self.right[self.right_at]


class Problem(NamedTuple):
    """What is wrong with a join, the nearest right thing, and the fix."""

    what: str
    nearest: str | None
    fix: str
    column: str | None = None


@dataclass(frozen=True)
class _Sides:
    declared: Join
    left: Node
    right: Node
    right_names: Sequence[str] | None = field(default=None)  # None: not known yet

    @property
    def streams(self) -> bool:
        return is_stream(self.right)


def is_stream(node: Node | None) -> bool:
    """Tell whether a node is a stream's source, or a table of statistics of one."""
    return isinstance(node, Statistics) or (isinstance(node, Source) and isinstance(node.connection, CHANNELLED))


def known_of(declared: Join, left: Node, right: Node) -> dict[str, str]:
    """Return for columns of a join that are known later than the left row's event time the column that tells when."""
    if not is_stream(left) or not is_stream(right) or list(problems(declared, left, right)):
        return {}
    made = shape(declared, left, right)
    found: dict[str, str] = {}
    if isinstance(left, Statistics):
        found = {name: "window_end" for name in made.left if name not in keys_of(left)}
    told = made.right.get("window_end", "window_end") if isinstance(right, Statistics) else made.matched
    return found | {name: told for name in made.right.values() if name not in (told, made.matched)}


def keys_of(stream: Node) -> tuple[str, ...]:
    """Return the columns that name a row of a stream."""
    return ("device", "sensor", "window_start", "window_end") if isinstance(stream, Statistics) else ("device", "seq", "at")


def columns_of(stream: Node) -> tuple[str, ...]:
    """Return the columns of a stream's table."""
    if isinstance(stream, Source):
        return stream.schema.names if stream.schema else ()
    assert isinstance(stream, Statistics)
    quantiles = ("q" + f"{q:.4f}".partition(".")[2].rstrip("0").ljust(2, "0") for q in stream.quantiles)
    figures = ("readings", "missing", "min", "max", "mean", "std", *quantiles)
    return (*keys_of(stream), *figures, *(["ranges"] if stream.ranges else []), *(f"{name}_power" for name in stream.bands))


def shape(declared: Join, left: Node, right: Node, right_names: Sequence[str] | None = None) -> Shape:
    """Return what of either side goes where; the declaration has been checked (see `problems`).

    Parameters
    ----------
    right_names : columns of the right side, where it is no stream
    """
    stream = is_stream(right)
    theirs = columns_of(right) if stream else tuple(name for name in right_names or () if not name.startswith("_"))
    ours = columns_of(left)
    named = {name: f"{right.name}_{name}" if name in ours else name for name in theirs if name not in declared.on}
    times = ("window_start", "window_end") if isinstance(right, Statistics) else ("at",) if stream else ()
    stays = {*keys_of(left), *declared.on}
    if declared.wanted is not None:
        ours = tuple(name for name in ours if name in declared.wanted or name in stays)
        named = {name: other for name, other in named.items() if other in declared.wanted or name in times}
    return Shape(
        declared.name, str(declared.where), keys_of(left), keys_of(right) if stream else (), left.event_time or "", right.event_time if stream else None,
        ours, named, declared.on, round(declared.within_s * 1e6) if stream and declared.within_s is not None else None, declared.how,
    )  # fmt: skip


def settled(declared: Join, left: Node, right: Node, right_names: Sequence[str]) -> Shape:
    """Return what of either side goes where, now that the columns of the right side are known.

    Raises
    ------
    DeclarationProblem : the join asks for what is not there
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
    return shape(declared, left, right, right_names)


def problems(declared: Join, left: Node, right: Node, right_names: Sequence[str] | None = None) -> Iterator[Problem]:
    """Yield what is wrong with a join of two nodes.

    Parameters
    ----------
    right_names : columns of the right side where it is no stream; None where nobody can tell yet
    """
    sides = _Sides(declared, left, right, columns_of(right) if is_stream(right) else right_names)
    found = list(_wrong_sides(sides)) or list(_wrong_time(sides))
    yield from found
    if not found:
        yield from _wrong_columns(sides)


def _wrong_sides(sides: _Sides) -> Iterator[Problem]:
    declared, left, right = sides.declared, sides.left, sides.right
    name = f"Join '{declared.name}'"
    if left.name == right.name:
        yield Problem(f"{name} is of '{left.name}' and itself.", None, "Name two inputs.")
    elif isinstance(left, Join) or isinstance(right, Join):
        again = left if isinstance(left, Join) else right
        yield Problem(
            f"{name} is of '{again.name}', which is a join itself.", None, "Write a table: a function of both, with @product.table."
        )
    elif not is_stream(left) and not is_stream(right):
        yield Problem(
            f"{name} is of '{left.name}' and '{right.name}', neither of which is a stream.", None,
            f"Write a table: @product.table, def {declared.name}({left.name}, {right.name}).",
        )  # fmt: skip
    elif not is_stream(left):
        yield Problem(
            f"{name} has '{left.name}' on its left, which is no stream.", None,
            f"The stream comes first: product.join('{declared.name}', {right.name}, {left.name}, ...).",
        )  # fmt: skip
    if declared.how not in ("inner", "left"):
        yield Problem(f"{name} is asked for how='{declared.how}'.", nearest(declared.how, ("inner", "left")), "Use inner or left.")


def _wrong_time(sides: _Sides) -> Iterator[Problem]:
    declared, right = sides.declared, sides.right
    name = f"Join '{declared.name}'"
    if sides.streams and declared.within_s is None:
        yield Problem(
            f"{name} of two streams does not say how far apart in time two rows may be that belong together.", None,
            'Say it: within="2 minutes".',
        )  # fmt: skip
    if not sides.streams and declared.within_s is not None:
        yield Problem(
            f"{name} says within=, but '{right.name}' is no stream: its rows have no time to be near to.",
            None,
            "Leave within= away.",
        )
    if declared.within_s is not None and declared.within_s < 0:
        yield Problem(f"{name} has a negative within=.", None, "It is a distance: 0 is the same time.")


def _wrong_columns(sides: _Sides) -> Iterator[Problem]:
    declared, left, right = sides.declared, sides.left, sides.right
    name = f"Join '{declared.name}'"
    if not declared.on:
        yield Problem(f"{name} names no column that has to be equal.", None, 'Say it: on="device".')
    for node, names in ((left, columns_of(left)), (right, sides.right_names)):
        for one in declared.on:
            if names is not None and one not in names:
                yield Problem(
                    f"{name} is on '{one}', which '{node.name}' does not have.",
                    nearest(one, names),
                    f"It has {', '.join(names)}.",
                    one,
                )
    for one in declared.on:
        if sides.streams and one in (left.event_time, right.event_time):
            yield Problem(
                f"{name} is on the event time '{one}'.", None, f"Take '{one}' out of on=; within=0 says that times are equal.", one
            )
    if sides.right_names is None or any(
        column not in columns_of(left) or column not in sides.right_names for column in declared.on
    ):
        return
    made = shape(replace(declared, wanted=None), left, right, sides.right_names)
    for one in sorted({column for column in made.columns if made.columns.count(column) > 1}):
        yield Problem(f"{name} would have the column '{one}' twice.", None, f"Rename it in '{left.name}' or '{right.name}'.", one)
    for one in declared.wanted or ():
        if one not in made.columns:
            yield Problem(
                f"{name} is asked for column '{one}', which it does not have.", nearest(one, made.columns),
                f"It has {', '.join(made.columns)}.", one,
            )  # fmt: skip
