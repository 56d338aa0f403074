"""Made-up rows for a schema, and the same rows as they would be had everything after a moment come out differently.

The rows lie where features look: on the grid of the table (or on half hours and odd seconds around it), near the same time of the
day on the days before and after. Values come from few, the same in every table, so that joins find partners and groups have rows.
"""

from __future__ import annotations

import datetime as dt
import decimal
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caudal.spark.marks import EVENT_TIME, KEY, KNOWN, STEP_S
from caudal.spark.moments import DAY_S

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType

MOMENT = dt.datetime(2024, 3, 6, 12)  # a Wednesday noon: on every grid that divides half a day, in the middle of a month
MIDNIGHT = MOMENT.replace(hour=0)
DAYS = (-28, -14, -8, -7, -2, -1, 0, 1, 2, 7, 14)
THINGS = 3  # different values of a key


@dataclass(frozen=True)
class InputShape:
    """What is known of an input without reading it.

    Parameters
    ----------
    schema : StructType; marks in its metadata (``caudal.known``, ``caudal.key``, ``caudal.step_s``) are heeded
    event_time : str, optional, when a row happened; None for a table whose rows are known at all times, such as zones
    known : mapping of column to the column that tells when its value is known; the others are known at ``event_time``
    keys : columns of which no two rows have the same values, such as ``trip_id``
    """

    schema: StructType
    event_time: str | None = None
    known: Mapping[str, str] = field(default_factory=dict)
    keys: Sequence[str] = ()

    @property
    def step_s(self) -> float | None:
        """The grid of the event time, where ``tumble`` marked one."""
        if self.event_time is None:
            return None
        found = (self.schema[self.event_time].metadata or {}).get(STEP_S)
        return float(found) if found else None

    @property
    def known_at(self) -> dict[str, str]:
        """The column that tells when a column is known, for those not known at the event time."""
        marked = {one.name: one.metadata[KNOWN] for one in self.schema.fields if (one.metadata or {}).get(KNOWN)}
        return {**marked, **self.known}


Row = dict[str, Any]


def moment(shape: Sequence[InputShape]) -> dt.datetime:
    """Return the moment that divides past from future: on the grid of every input."""
    steps = [one.step_s for one in shape if one.step_s]
    return MOMENT if all(DAY_S / 2 % step == 0 for step in steps) else MIDNIGHT


def rows(shape: InputShape, entity: Sequence[str], at: dt.datetime, seed: int) -> list[Row]:
    """Return made-up rows, in order of time."""
    draw = random.Random(seed)
    if shape.event_time is None:
        return [_plain(shape, thing) for thing in range(10)]
    times = _times(shape, at, draw)
    keyed = [name for name in shape.schema.names if name in entity or (shape.schema[name].metadata or {}).get(KEY)]
    made: list[Row] = []
    for time in times:
        # On a grid every key has a row at every time; its key columns change together, so that entity and time name one row.
        for thing in range(THINGS) if shape.step_s else (draw.randrange(THINGS),):
            row = {one.name: _value(one.dataType, draw, wide=one.name in shape.known_at) for one in shape.schema.fields}
            row |= {name: _domain(shape.schema[name].dataType, thing) for name in keyed}
            made.append(_timed(shape, row, time, draw))
    return _unique(shape, made)


def later_otherwise(
    shape: InputShape, made: Sequence[Row], entity: Sequence[str], at: dt.datetime, seed: int, *, gone: bool
) -> list[Row]:
    """Return the rows as they would be, had what becomes known after ``at`` come out differently.

    With ``gone``, later rows are not there and values known later are null (where they may be); otherwise they are others, some
    rows are missing and some are new.
    """
    if shape.event_time is None:
        return list(made)
    draw = random.Random(seed + 1)
    keyed = {
        name for name in shape.schema.names if name in entity or (shape.schema[name].metadata or {}).get(KEY) or name in shape.keys
    }
    changed: list[Row] = []
    for number, row in enumerate(made):
        later = known_when(shape, row, shape.event_time) > at
        if later and (gone or number % 4 == 0):
            continue
        new = dict(row)
        for one in shape.schema.fields:
            known = known_when(shape, row, shape.known_at.get(one.name, shape.event_time), one.name)
            if known <= at or one.name == shape.event_time or one.name in keyed:
                continue
            new[one.name] = None if gone and one.nullable else _other(shape, one.name, row, at, draw)
        changed.append(new)
    if not gone:
        changed += _new(shape, made, at, draw)
    return sorted(changed, key=lambda row: _as_time(row[str(shape.event_time)]))


def known_when(shape: InputShape, row: Row, column: str, of: str = "") -> dt.datetime:
    """Return when a value of a row is known, told by ``column``; for a column that is gone, a step after the event."""
    if column in row and row[column] is not None and isinstance(row[column], dt.date):
        return _as_time(row[column])
    return _as_time(row[str(shape.event_time)]) + dt.timedelta(seconds=shape.step_s or 0)


def frame(spark: SparkSession, shape: InputShape, made: Sequence[Row]) -> DataFrame:
    """Return rows as a Spark frame of one partition, in their order, with the event time marked."""
    from pyspark.sql.types import StructField, StructType

    fields = []
    for one in shape.schema.fields:
        metadata = dict(one.metadata or {}) | ({EVENT_TIME: True} if one.name == shape.event_time else {})
        fields.append(StructField(one.name, one.dataType, True, metadata))
    schema = StructType(fields)
    return spark.createDataFrame([tuple(row[name] for name in schema.names) for row in made], schema, verifySchema=False).coalesce(
        1
    )


def _times(shape: InputShape, at: dt.datetime, draw: random.Random) -> list[dt.datetime]:
    step = shape.step_s
    offsets: set[float] = set()
    for day in DAYS:
        middle = day * DAY_S
        if step:
            offsets |= {middle + number * step for number in range(-4, 5)}
        else:
            offsets |= {middle + number * 1800 for number in range(-4, 5)} | {middle - (at - at.replace(hour=0)).total_seconds()}
            offsets |= {middle + draw.randrange(-10_800, 10_800) for _ in range(5)}
    return [at + dt.timedelta(seconds=offset) for offset in sorted(offsets)]


def _timed(shape: InputShape, row: Row, time: dt.datetime, draw: random.Random) -> Row:
    """Set the event time, and the columns that tell when others are known: after it, often beyond the dividing moment."""
    from pyspark.sql.types import TimestampType

    for told in dict.fromkeys(shape.known_at.values()):
        if told in row and told != shape.event_time:
            late = shape.step_s if shape.step_s and (shape.schema[told].metadata or {}).get(STEP_S) else draw.randrange(60, 14_400)
            row[told] = _at(shape.schema[told].dataType, time + dt.timedelta(seconds=late))
    for one in shape.schema.fields:
        if isinstance(one.dataType, TimestampType) and row[one.name] is not None:
            row[one.name] = _at(one.dataType, _as_time(row[one.name]))
    row[str(shape.event_time)] = _at(shape.schema[str(shape.event_time)].dataType, time)
    return row


def _new(shape: InputShape, made: Sequence[Row], at: dt.datetime, draw: random.Random) -> list[Row]:
    """Return further later rows, at times where there was none."""
    event_time = str(shape.event_time)
    later = [row for row in made if _as_time(row[event_time]) > at]
    added = []
    for number, row in enumerate(later[::3]):
        new = dict(row)
        shift = dt.timedelta(days=21) if shape.step_s else dt.timedelta(seconds=draw.randrange(1, 3600))
        for name in dict.fromkeys((event_time, *shape.known_at.values())):
            if name in new and isinstance(new[name], dt.date):
                new[name] = new[name] + shift
        for name in shape.keys:
            new[name] = _domain(shape.schema[name].dataType, 1_000_000 + number)
        added.append(new)
    return added


def _other(shape: InputShape, name: str, row: Row, at: dt.datetime, draw: random.Random) -> Any:
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


def _extreme(kind: DataType, draw: random.Random) -> Any:
    """Return a value beyond all that made-up rows have: a maximum or minimum over the future shows by it; None where there is none."""
    from pyspark.sql import types as T

    low = draw.random() < 0.5
    if isinstance(kind, T.DoubleType | T.FloatType):
        return draw.uniform(0.001, 0.9) if low else draw.uniform(200, 1000)
    if isinstance(kind, T.IntegralType):
        return 100 + draw.randrange(20 if isinstance(kind, T.ByteType) else 1000)
    if isinstance(kind, T.StringType):
        return str(draw.randrange(900, 1000))
    return None


def _unique(shape: InputShape, made: list[Row]) -> list[Row]:
    for number, row in enumerate(made):
        for name in shape.keys:
            if name != shape.event_time and len(shape.keys) == 1:
                row[name] = _domain(shape.schema[name].dataType, 1000 + number)
    return made


def _plain(shape: InputShape, thing: int) -> Row:
    return {one.name: _domain(one.dataType, thing) for one in shape.schema.fields}


def _value(kind: DataType, draw: random.Random, *, wide: bool) -> Any:
    """Return a value: numbers with a point from many, whole numbers and strings from few (they may be keys) unless ``wide``."""
    from pyspark.sql import types as T

    if isinstance(kind, T.DoubleType | T.FloatType):
        return round(draw.uniform(1, 100), 3)
    if isinstance(kind, T.DecimalType):
        return decimal.Decimal(draw.randrange(1, min(10**kind.precision, 10**6))).scaleb(-kind.scale)
    if isinstance(kind, T.IntegralType) and wide:
        return draw.randrange(1, 100)
    return _domain(kind, draw.randrange(THINGS))


def _domain(kind: DataType, thing: int) -> Any:
    """Return the ``thing``-th value of a type, the same in every table; strings are digits, so that they can be cast."""
    from pyspark.sql import types as T

    if isinstance(kind, T.StringType):
        return str(thing)
    if isinstance(kind, T.BooleanType):
        return thing % 2 == 1
    if isinstance(kind, T.ByteType):
        return thing % 100
    if isinstance(kind, T.IntegralType):
        return thing
    if isinstance(kind, T.DoubleType | T.FloatType):
        return float(thing)
    if isinstance(kind, T.DecimalType):
        return decimal.Decimal(thing % 10**kind.precision).scaleb(-kind.scale)
    if isinstance(kind, T.DateType | T.TimestampNTZType | T.TimestampType):
        return _at(kind, MIDNIGHT + dt.timedelta(days=thing % 1000 - 40, hours=thing % 24))
    if isinstance(kind, T.BinaryType):
        return str(thing).encode()
    if isinstance(kind, T.ArrayType):
        return [_domain(kind.elementType, thing)]
    if isinstance(kind, T.MapType):
        return {_domain(kind.keyType, thing): _domain(kind.valueType, thing)}
    if isinstance(kind, T.StructType):
        return tuple(_domain(one.dataType, thing) for one in kind.fields)
    return None


def _at(kind: DataType, time: dt.datetime) -> Any:
    from pyspark.sql.types import DateType, TimestampType

    if isinstance(kind, DateType):
        return time.date()
    return time.replace(tzinfo=dt.UTC) if isinstance(kind, TimestampType) else time.replace(tzinfo=None)


def _as_time(value: dt.date) -> dt.datetime:
    """Return a time without a zone (instants as UTC); a date is its midnight."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    return dt.datetime(value.year, value.month, value.day)
