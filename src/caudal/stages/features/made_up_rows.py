"""Made-up rows for a schema, and the same rows with everything changed that becomes known after a moment.

`caudal.stages.features.made_up_times` chooses the times of the rows. Values come from a small set, the same in every table, so that
joins find partners and groups have rows. A value that is known late is known just after the dividing moment, however long ago its row
happened, unless the declaration bounds the delay: then it is known as late as the bound allows.
"""

from __future__ import annotations

import datetime as dt
import decimal
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pyspark.sql import functions as F, types as T
from pyspark.sql.types import DateType, StructField, StructType, TimestampType

from caudal.declarations.known import Known, known_of
from caudal.engine.capability import Capability
from caudal.engine.choice import can, is_connected
from caudal.engine.marks import EVENT_TIME, KEY, KNOWN, STEP_S, quoted
from caudal.engine.moments import DAY_S
from caudal.stages.features.made_up_times import RowTime, row_times
from caudal.stages.features.reaches import Reaches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

MOMENT = dt.datetime(2024, 3, 6, 12)  # a Wednesday noon: on every grid that divides half a day, in the middle of a month
MIDNIGHT = MOMENT.replace(hour=0)
KEY_VALUES = 3  # number of different values of a key


@dataclass(frozen=True)
class InputShape:
    """The facts about an input that are declared, without reading it.

    Parameters
    ----------
    schema : StructType; marks in its metadata (``caudal.known``, ``caudal.key``, ``caudal.step_s``) are used
    event_time : str, optional, when a row happened; None for a table whose rows are known at all times, such as zones
    known : mapping of column to when it is known, as declared (`caudal.declarations.known`): a column, a column and a bound, or a delay;
        the others are known at ``event_time``
    keys : columns of which no two rows have the same values, such as ``trip_id``
    """

    schema: StructType
    event_time: str | None = None
    known: Mapping[str, str] = field(default_factory=dict)
    keys: Sequence[str] = ()

    @property
    def step_s(self) -> float | None:
        """Return the seconds between event times, where ``tumble`` marked a fixed step."""
        if self.event_time is None:
            return None
        step_s = (self.schema[self.event_time].metadata or {}).get(STEP_S)
        if step_s is None and self.schema[self.event_time].dataType.typeName() == "date":
            return DAY_S
        return float(step_s) if step_s else None

    @cached_property
    def known_at(self) -> dict[str, Known]:
        """Return when each column is known, for the columns not known at the event time."""
        marks = {field.name: field.metadata[KNOWN] for field in self.schema.fields if (field.metadata or {}).get(KNOWN)}
        return {
            name: known_of(declared, self.schema.names)
            for name, declared in {**marks, **self.known}.items()
            if name in self.schema.names
        }

    @cached_property
    def bounds_s(self) -> dict[str, float | None]:
        """Return for each column that holds when others are known: the greatest delay of its time after the event; None for no bound."""
        bounds: dict[str, float | None] = {}
        for known_at in self.known_at.values():
            if known_at.column is not None:
                before = bounds.get(known_at.column, known_at.within_s)
                bounds[known_at.column] = known_at.within_s if before is None else min(before, known_at.within_s or before)
        return bounds


Row = dict[str, object]


def dividing_moment(shape: Sequence[InputShape]) -> dt.datetime:
    """Return the moment that divides past from future; it lies on the grid of every input."""
    steps = [input_.step_s for input_ in shape if input_.step_s]
    return MOMENT if all(DAY_S / 2 % step == 0 for step in steps) else MIDNIGHT


def made_up_rows(shape: InputShape, entity: Sequence[str], at: dt.datetime, seed: int, reach: Reaches | None = None) -> list[Row]:
    """Return made-up rows in order of time, at distances that features with this reach compare."""
    draw = random.Random(seed)
    if shape.event_time is None:
        return [_undated_row(shape, key_index) for key_index in range(10)]
    keyed = [name for name in shape.schema.names if name in entity or (shape.schema[name].metadata or {}).get(KEY)]
    delays = [known_at.within_s for known_at in shape.known_at.values() if known_at.within_s]
    made_up: list[Row] = []
    for number, row_time in enumerate(row_times(at, shape.step_s, reach or Reaches(), delays, draw)):
        # On a grid every key has a row at every time; the key columns change together, so that entity and time identify one row.
        for key_index in _key_numbers(shape, row_time, number, bool(keyed), draw):
            row = {
                field.name: _value(
                    field.dataType, draw, wide=field.name in shape.known_at, index=key_index if row_time.exact else None
                )
                for field in shape.schema.fields
            }
            row |= {name: _nth_value(shape.schema[name].dataType, key_index) for name in keyed}
            made_up.append(_set_times(shape, row, row_time, at, draw))
    return _number_keys(shape, made_up)


def _key_numbers(shape: InputShape, row_time: RowTime, number: int, keyed: bool, draw: random.Random) -> Sequence[int]:
    if row_time.all_keys and (shape.step_s or keyed):
        return range(KEY_VALUES)
    return (number % KEY_VALUES if row_time.exact and keyed else 0 if row_time.exact else draw.randrange(KEY_VALUES),)


def change_later(
    shape: InputShape, made_up: Sequence[Row], entity: Sequence[str], at: dt.datetime, seed: int, *, missing: bool
) -> list[Row]:
    """Return the rows with everything changed that becomes known after ``at``.

    With ``missing``, later rows are missing and values known later are null (where the column allows null); otherwise those values are
    different ones, some later rows are missing and some are new.
    """
    if shape.event_time is None:
        return list(made_up)
    draw = random.Random(seed + 1)
    event_time = shape.event_time
    keyed = {
        name for name in shape.schema.names if name in entity or (shape.schema[name].metadata or {}).get(KEY) or name in shape.keys
    }
    changed: list[Row] = []
    for number, row in enumerate(made_up):
        event = _as_time(row[event_time])
        if event > at and (missing or number % 4 == 0):
            continue
        new = dict(row)
        for column in shape.schema.fields:
            if column.name == event_time or column.name in keyed or time_known(shape, row, column.name, event) <= at:
                continue
            new[column.name] = None if missing and column.nullable else _changed_value(shape, column.name, row, draw)
        changed.append(new)
    if not missing:
        changed += _new_rows(shape, made_up, entity, at, draw)
    return sorted(changed, key=lambda row: _as_time(row[event_time]))


def time_known(shape: InputShape, row: Row, column: str, event: dt.datetime) -> dt.datetime:
    """Return when a value of a row is known; where the column that holds this is empty, a step after the event."""
    known_at = shape.known_at.get(column)
    if known_at is None:
        return event
    if known_at.column is None:
        return event + dt.timedelta(seconds=known_at.within_s or 0)
    known_time = row.get(known_at.column)
    return _as_time(known_time) if isinstance(known_time, dt.date) else event + dt.timedelta(seconds=shape.step_s or 0)


def made_up_frame(spark: SparkSession, shape: InputShape, made_up: Sequence[Row]) -> DataFrame:
    """Return rows as a Spark frame of one partition, in their order, with the event time marked."""
    fields = []
    for column in shape.schema.fields:
        metadata = dict(column.metadata or {}) | ({EVENT_TIME: True} if column.name == shape.event_time else {})
        fields.append(StructField(column.name, column.dataType, True, metadata))
    schema = StructType(fields)
    rows = [tuple(row[name] for name in schema.names) for row in made_up]
    if can(spark, Capability.JSON_SCHEMA):
        unverified = {} if is_connected(spark) else {"verifySchema": False}
        return spark.createDataFrame(rows, schema, **unverified).coalesce(1)
    columns = ", ".join(f"{quoted(field.name)} {field.dataType.simpleString()}" for field in fields)
    marked = [F.col(quoted(field.name)).alias(field.name, metadata=dict(field.metadata or {})) for field in fields]
    return spark.createDataFrame(rows, columns).select(*marked).coalesce(1)


def _set_times(shape: InputShape, row: Row, row_time: RowTime, at: dt.datetime, draw: random.Random) -> Row:
    """Set the event time, and the columns that hold when others are known."""
    event_time = str(shape.event_time)
    for column, within_s in shape.bounds_s.items():
        if column in row and column != event_time:
            grid = shape.step_s and (shape.schema[column].metadata or {}).get(STEP_S)
            known_time = (
                row_time.time + dt.timedelta(seconds=shape.step_s or 0) if grid else _draw_known_time(row_time, at, within_s, draw)
            )
            if shape.schema[column].dataType.typeName() == "date" and row_time.late:
                known_time += dt.timedelta(days=1)  # a date is its midnight
            row[column] = _at(shape.schema[column].dataType, known_time)
    for typed in shape.schema.fields:
        if isinstance(typed.dataType, TimestampType) and row[typed.name] is not None:
            row[typed.name] = _at(typed.dataType, _as_time(row[typed.name]))
    row[event_time] = _at(shape.schema[event_time].dataType, row_time.time)
    return row


def _draw_known_time(row_time: RowTime, at: dt.datetime, within_s: float | None, draw: random.Random) -> dt.datetime:
    """Return when a value of a row is known: for a late one just after the dividing moment, as far as the bound allows."""
    delay_s = float(draw.randrange(60, 14_400))
    if row_time.time <= at:
        since_s = (at - row_time.time).total_seconds()
        delay_s = since_s + draw.randrange(1, 3600) if row_time.late else min(delay_s, since_s)
    return row_time.time + dt.timedelta(seconds=delay_s if within_s is None else min(delay_s, within_s))


def _new_rows(shape: InputShape, made_up: Sequence[Row], entity: Sequence[str], at: dt.datetime, draw: random.Random) -> list[Row]:
    """Return more later rows, at times that had no row."""
    event_time = str(shape.event_time)
    times = {_as_time(row[event_time]) for row in made_up}
    later = [row for row in made_up if _as_time(row[event_time]) > at]
    added = []
    for number, row in enumerate(later[::3][:100]):
        new = dict(row)
        shift = dt.timedelta(seconds=shape.step_s * (number + 1)) if shape.step_s else dt.timedelta(seconds=draw.randrange(1, 3600))
        time = _as_time(row[event_time]) + shift
        if time in times:
            continue
        times.add(time)
        for name in dict.fromkeys((event_time, *shape.bounds_s)):
            if isinstance(old := new.get(name), dt.date):
                new[name] = old + shift
        for name in shape.keys:
            new[name] = _nth_value(shape.schema[name].dataType, 1_000_000 + number)
        added.append(new)
    return added


def _changed_value(shape: InputShape, name: str, row: Row, draw: random.Random) -> object:
    kind, old = shape.schema[name].dataType, row[name]
    if isinstance(old, dt.date):  # a time known later stays later
        return (
            old + dt.timedelta(days=1) if not isinstance(old, dt.datetime) else old + dt.timedelta(seconds=draw.randrange(60, 7200))
        )
    if draw.random() < 0.4 and (extreme := _extreme(kind, draw)) is not None:
        return extreme
    for _ in range(20):
        new = _value(kind, draw, wide=name in shape.known_at)
        if new != old:
            return new
    return old


def _extreme(kind: DataType, draw: random.Random) -> object:
    """Return a value beyond all values of made-up rows, which reveals a maximum or minimum over the future; None where the type has none."""
    low = draw.random() < 0.5
    if isinstance(kind, T.DoubleType | T.FloatType):
        return draw.uniform(0.001, 0.9) if low else draw.uniform(200, 1000)
    if isinstance(kind, T.IntegralType):
        return 100 + draw.randrange(20 if isinstance(kind, T.ByteType) else 1000)
    if isinstance(kind, T.StringType):
        return str(draw.randrange(900, 1000))
    return None


def _number_keys(shape: InputShape, made_up: list[Row]) -> list[Row]:
    for number, row in enumerate(made_up):
        for name in shape.keys:
            if name != shape.event_time and len(shape.keys) == 1:
                row[name] = _nth_value(shape.schema[name].dataType, 1000 + number)
    return made_up


def _undated_row(shape: InputShape, index: int) -> Row:
    return {field.name: _nth_value(field.dataType, index) for field in shape.schema.fields}


def _value(kind: DataType, draw: random.Random, *, wide: bool, index: int | None = None) -> object:
    """Return a value: fractional numbers from many, integers and strings from few (they may be keys) unless ``wide``.

    Where ``index`` is given, values from few are the ``index``-th one, so that rows of the same key agree in every column that groups them.
    """
    if isinstance(kind, T.DoubleType | T.FloatType):
        return round(draw.uniform(1, 100), 3)
    if isinstance(kind, T.DecimalType):
        return decimal.Decimal(draw.randrange(1, min(10**kind.precision, 10**6))).scaleb(-kind.scale)
    if isinstance(kind, T.IntegralType) and wide:
        return draw.randrange(1, 100)
    return _nth_value(kind, draw.randrange(KEY_VALUES) if index is None or wide else index)


def _nth_value(kind: DataType, index: int) -> object:
    """Return the ``index``-th value of a type, the same in every table; strings are digits, so that they can be cast."""
    if isinstance(kind, T.StringType):
        return str(index)
    if isinstance(kind, T.BooleanType):
        return index % 2 == 1
    if isinstance(kind, T.ByteType):
        return index % 100
    if isinstance(kind, T.IntegralType):
        return index
    if isinstance(kind, T.DoubleType | T.FloatType):
        return float(index)
    if isinstance(kind, T.DecimalType):
        return decimal.Decimal(index % 10**kind.precision).scaleb(-kind.scale)
    if isinstance(kind, T.DateType | T.TimestampNTZType | T.TimestampType):
        return _at(kind, MIDNIGHT + dt.timedelta(days=index % 1000 - 40, hours=index % 24))
    if isinstance(kind, T.BinaryType):
        return str(index).encode()
    if isinstance(kind, T.ArrayType):
        return [_nth_value(kind.elementType, index)]
    if isinstance(kind, T.MapType):
        return {_nth_value(kind.keyType, index): _nth_value(kind.valueType, index)}
    if isinstance(kind, T.StructType):
        return tuple(_nth_value(field.dataType, index) for field in kind.fields)
    return None


def _at(kind: DataType, time: dt.datetime) -> dt.date:
    if isinstance(kind, DateType):
        return time.date()
    return time.replace(tzinfo=dt.UTC) if isinstance(kind, TimestampType) else time.replace(tzinfo=None)


def _as_time(value: object) -> dt.datetime:
    """Return a time without a zone (instants as UTC); a date is its midnight."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    assert isinstance(value, dt.date)
    return dt.datetime(value.year, value.month, value.day)
