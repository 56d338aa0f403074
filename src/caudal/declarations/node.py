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

    ``after`` are the user's Luigi tasks that produce it, or functions that return such tasks.
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
        """Empty: a source has no inputs."""
        return ()

    @property
    def known(self) -> Mapping[str, str]:
        """Empty: all columns of a source are known at its event time."""
        return {}

    @property
    def not_inputs(self) -> tuple[str, ...]:
        """Empty: models use only features."""
        return ()

    @property
    def by_file(self) -> bool:
        """Whether each row belongs to one raw file: always True for a source."""
        return True


@dataclass(frozen=True)
class Table:
    """A table computed by a function of other tables, or by SQL.

    Parameters
    ----------
    function : the function; its parameter names are its inputs. None for SQL
    sql : str, the query. None for a function
    event_time : str, optional, column with the time of the event
    partition : ``"day"`` promises that the rows of a day depend only on its inputs' rows of that day and of ``lookback_s``
        before it; new data then rebuilds only the days that it touches. Without it the table is rebuilt completely
    by_file : ``partition="file"``, which promises that each row depends only on one row of its first input, and keeps its ``_file``; new data then
        builds only the rows of new raw files
    known : mapping of column to the column with the time at which its value is known; the others are known at ``event_time``
    retry : how often the step is retried after a failure of the machine or the network
    time_limit_s : seconds after which an attempt is stopped
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
        """Empty: models use only features."""
        return ()


@dataclass(frozen=True)
class Features(Table):
    """A table of features: one row per entity and ``as_of``, computed only from what was known at ``as_of``.

    ``as_of`` is empty where rows have no order in time: then there is one row per entity, and models split by a key (`hashed`).
    ``labels`` are columns to learn from; they are never an input of a model.
    """

    kind: ClassVar[str] = "features"
    entity: tuple[str, ...] = ()
    as_of: str = ""
    labels: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    @property
    def not_inputs(self) -> tuple[str, ...]:
        """Columns that are never an input of a model: keys, time, labels and columns kept for audit."""
        return (*self.key, *self.labels, *self.keep)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row: the entity and, where rows have a time, ``as_of``."""
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
