"""Sources, tables and features: the nodes of a product's graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from caudal.declarations.connection import Connection
from caudal.declarations.expectation import Expectation
from caudal.declarations.location import Location
from caudal.declarations.schema import Schema
from caudal.declarations.trigger import Trigger

Partition = Literal["day", "file"]


@dataclass(frozen=True)
class Source:
    """Raw data, landed byte for byte and read into a typed table of the same name.

    ``after`` are Luigi tasks of the user's own that make it, or functions that return them.
    """

    kind: ClassVar[str] = "source"
    name: str
    connection: Connection
    schema: Schema | None = None
    event_time: str | None = None
    partition: Partition | None = None
    late_s: float = 0.0
    expect: tuple[Expectation, ...] = ()
    trigger: Trigger | None = None
    retry: int = 0
    description: str | None = None
    where: Location | None = field(default=None, compare=False)
    time_limit_s: float | None = None
    after: tuple[object, ...] = field(default=(), compare=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """A source has none."""
        return ()

    @property
    def known(self) -> Mapping[str, str]:
        """Columns of a source are known at its event time."""
        return {}

    @property
    def not_inputs(self) -> tuple[str, ...]:
        """Models learn from features alone."""
        return ()

    @property
    def by_file(self) -> bool:
        """Whether each row belongs to one raw file: those of a source do."""
        return True


@dataclass(frozen=True)
class Table:
    """A table made by a function of other tables, or by SQL.

    Parameters
    ----------
    function : the function; its parameter names are its inputs. None for SQL
    sql : str, the query. None for a function
    event_time : str, optional, column that says when a row happened
    partition : ``"day"`` promises that the rows of a day follow from its inputs' rows of that day and of ``lookback_s``
        before it; then new data costs work for the days it touches only. Without it the table is rebuilt whole
    by_file : ``partition="file"``, which promises that each row follows from one row of its first input, and keeps its ``_file``; then new data costs
        work for the raw files it came in only
    known : mapping of column to the column that tells when its value is known; the others are known at ``event_time``
    retry : how often the step is tried again when the machine or the network failed it
    time_limit_s : seconds after which an attempt is ended
    """

    kind: ClassVar[str] = "table"
    name: str
    inputs: tuple[str, ...]
    function: Callable[..., Any] | None = None
    sql: str | None = None
    schema: Schema | None = None
    expect: tuple[Expectation, ...] = ()
    event_time: str | None = None
    partition: Partition | None = None
    lookback_s: float = 0.0
    known: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    where: Location | None = field(default=None, compare=False)
    retry: int = 0
    time_limit_s: float | None = None
    by_file: bool = False

    @property
    def not_inputs(self) -> tuple[str, ...]:
        """Models learn from features alone."""
        return ()


@dataclass(frozen=True)
class Features(Table):
    """A table of features: one row per entity and ``as_of``, made only of what was known at ``as_of``.

    ``as_of`` is empty where rows have no order in time: then there is one row per entity, and models split by a key (`hashed`).
    ``labels`` are columns that are carried along to learn from, and never given to a model as an input.
    """

    kind: ClassVar[str] = "features"
    entity: tuple[str, ...] = ()
    as_of: str = ""
    labels: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    @property
    def not_inputs(self) -> tuple[str, ...]:
        """Columns that no model gets as an input: keys, time, labels and what is kept for audit."""
        return (*self.key, *self.labels, *self.keep)

    @property
    def key(self) -> tuple[str, ...]:
        """What names a row: the entity and, where rows have a time, ``as_of``."""
        return tuple(dict.fromkeys((*self.entity, self.as_of))) if self.as_of else self.entity


Node = Source | Table


def inputs_of(function: Callable[..., object]) -> tuple[str, ...]:
    """Return the parameter names of a table function.

    Examples
    --------
    >>> inputs_of(lambda trips, zones: None)
    ('trips', 'zones')
    """
    return tuple(inspect.signature(function).parameters)


def summary_of(function: Callable[..., object]) -> str | None:
    """Return a function's docstring, cleaned."""
    return inspect.getdoc(function)
