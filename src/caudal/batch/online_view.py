"""What an online view holds: how each input of a model is found, and the rows of what is found by key."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    ByteType,
    DecimalType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from caudal.batch.steps.look_back import lookback_of
from caudal.declarations.build_context import build_context
from caudal.declarations.days import shifted
from caudal.declarations.lookup import OnlineLookup
from caudal.declarations.node import Features
from caudal.declarations.online import CalendarPart
from caudal.declarations.zone import DAY_S
from caudal.engine.marks import marked_schema, quoted
from caudal.engine.moments import micros
from caudal.engine.origins import Timeline, collected_origins, timeline_rows
from caudal.errors import StepFailed
from caudal.graph.check_lookups import ORIGINS
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.table_frame import frame_of
from caudal.storage import delta
from caudal.tables.online import Row, ViewGroup

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

Origins = Mapping[str, CalendarPart | tuple[Timeline, int]]
_KEY_TYPES = {
    StringType: "string",
    LongType: "long",
    IntegerType: "long",
    ShortType: "long",
    ByteType: "long",
    BooleanType: "boolean",
}


@dataclass
class ViewContent:
    """What a view is made of.

    Parameters
    ----------
    calendar : features that are parts of a time
    timelines : features that are found by key, with whether they are exactly what the features have at a time
    times, key_types : as `caudal.tables.online.Described` has them
    """

    calendar: dict[str, CalendarPart] = field(default_factory=dict)
    timelines: list[tuple[Timeline, bool]] = field(default_factory=list)
    times: dict[str, bool] = field(default_factory=dict)
    key_types: dict[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> list[ViewGroup]:
        """The groups of the view, in the order of the timelines."""
        return [
            {"keys": list(each.keys), "time": each.time, "columns": list(each.columns), "valid_us": each.valid_us, "exact": exact}
            for each, exact in self.timelines
        ]


def content_of(
    tables: ProductTables,
    run_spark: RunSpark,
    lookup: OnlineLookup,
    features: Features,
    inputs: Sequence[str],
) -> ViewContent:
    """Return what the view of a model holds: the features' function is called on the newest days of its inputs, and nothing is computed yet.

    Parameters
    ----------
    inputs : the inputs of the model

    Raises
    ------
    StepFailed : an input that is to be looked up cannot be
    """
    with build_context(fits="keep"), collected_origins() as origins:
        frame = _frame(tables, run_spark, features, lookup.history_s)
        schema = marked_schema(frame)
        origin_of = origins.of(schema)
    content = ViewContent()
    if lookup.inferred:
        _add_with_origin(content, schema, origin_of, [name for name in inputs if name in origin_of], lookup)
    for of, keys in lookup.given.items():
        _add_given(content, tables, run_spark, schema, origin_of, lookup, features, of, keys, inputs)
    if (lookup.inferred or lookup.given) and not content.calendar and not content.timelines:
        raise StepFailed(
            f"The lookup of model '{lookup.model}' binds to nothing: no input of features '{features.name}' comes from {ORIGINS} as it is.",
            fix='Name columns and their keys: lookup={"a_feature": "its_key"}.', where=str(lookup.where),
        )  # fmt: skip
    return content


def _frame(tables: ProductTables, run_spark: RunSpark, features: Features, history_s: float) -> DataFrame:
    """Return the features' frame for the newest days of their inputs, as far back as they look."""
    reach_s = lookback_of(tables, run_spark, features).seconds + history_s
    days_by_input = {name: _days(tables, name) for name in features.inputs}
    newest = max((day for days in days_by_input.values() if days for day in days), default=None)
    frames = {}
    for name, days in days_by_input.items():
        chosen: set[str | None] | None = None
        if days and newest is not None and not math.isinf(reach_s):
            first = shifted(newest, -(math.ceil(reach_s / DAY_S) + 1))
            chosen = {day for day in days if day >= first}
        frames[name] = tables.frame(run_spark.session, name, chosen).alias(name)
    return frame_of(tables.product, run_spark.session, features, frames)


def _days(tables: ProductTables, name: str) -> set[str] | None:
    if not tables.product.nodes[name].partition:
        return None
    return {day for day in delta.read_version(tables.folder(name)).days if day is not None}


def _add_with_origin(
    content: ViewContent, schema: StructType, origin_of: Origins, names: Sequence[str], lookup: OnlineLookup
) -> None:
    """Add inputs whose origin is known."""
    places: dict[int, dict[str, int]] = {}
    timelines: dict[int, Timeline] = {}
    for name in names:
        origin = origin_of[name]
        if isinstance(origin, CalendarPart):
            content.calendar[name] = origin
            _add_time(content, origin.time, origin.tz is None, lookup)
        else:
            timelines[id(origin[0])] = origin[0]
            places.setdefault(id(origin[0]), {})[name] = origin[1]
    for number, timeline in timelines.items():
        _add_timeline(content, _narrowed(timeline, places[number]), True, schema, lookup)


def _narrowed(timeline: Timeline, places: Mapping[str, int]) -> Timeline:
    """Return a timeline with some of its values, under the names that they have in the features."""

    def rows() -> DataFrame:
        frame = timeline.rows()
        keys = [f"__key_{place}" for place in range(len(timeline.keys))]
        return frame.select(
            *keys, "__at", *(F.col(f"__value_{place}").alias(f"__value_{at}") for at, place in enumerate(places.values()))
        )

    return replace(timeline, columns=tuple(places), rows=rows)


def _add_given(
    content: ViewContent, tables: ProductTables, run_spark: RunSpark, schema: StructType, origin_of: Origins,
    lookup: OnlineLookup, features: Features, of: tuple[str, ...], keys: tuple[str, ...], inputs: Sequence[str],
) -> None:  # fmt: skip
    """Add inputs that are found by a key that is given: as the features have them where their origin is known, else from the newest row with that key."""
    table = of[0] if len(of) == 1 and of[0] in tables.product.nodes else features.name
    frame = tables.frame(run_spark.session, table)
    columns = of if table not in of else tuple(name for name in inputs if name in frame.columns and name not in keys)
    known = [name for name in columns if table == features.name and name in origin_of]
    for name in known:
        origin = origin_of[name]
        if isinstance(origin, tuple) and set(origin[0].keys) != set(keys):
            raise StepFailed(
                f"The lookup of model '{lookup.model}' finds '{name}' by {', '.join(keys)}, and the features have made it by {', '.join(origin[0].keys)}.",
                fix=f"Give the key ({', '.join(origin[0].keys)}).", where=str(lookup.where),
            )  # fmt: skip
    _add_with_origin(content, schema, origin_of, known, lookup)
    others = [name for name in columns if name not in known]
    if not others:
        return
    node = tables.product.nodes[table]
    time = features.as_of if table == features.name else node.event_time
    local = bool(time) and isinstance(frame.schema[str(time)].dataType, TimestampNTZType)
    if time and not isinstance(frame.schema[time].dataType, TimestampNTZType | TimestampType):
        raise StepFailed(
            f"The lookup of model '{lookup.model}' finds rows of '{table}' by '{time}', which is no timestamp.",
            where=str(lookup.where),
        )

    def rows() -> DataFrame:
        at = micros(frame, time, "lookup") if time else F.lit(0).cast("bigint")
        return timeline_rows(frame, keys, at, [F.col(quoted(name)) for name in others], local)

    asked_time = (features.as_of or str(time)) if time else ""
    _add_timeline(content, Timeline(keys, asked_time, local, tuple(others), None, rows), False, frame.schema, lookup)


def _add_timeline(content: ViewContent, timeline: Timeline, exact: bool, schema: StructType, lookup: OnlineLookup) -> None:
    if timeline.time:
        _add_time(content, timeline.time, timeline.local, lookup)
    for key in timeline.keys:
        if key in schema.names:
            content.key_types[key] = _key_type(schema[key].dataType, key, lookup)
        else:
            content.key_types.setdefault(key, "string")
    content.timelines.append((timeline, exact))


def _add_time(content: ViewContent, time: str, local: bool, lookup: OnlineLookup) -> None:
    if content.times.setdefault(time, local) != local:
        raise StepFailed(
            f"The lookup of model '{lookup.model}' takes '{time}' both as local time and as an instant.",
            fix="Use one type of time in the features and in the tables that are looked up.", where=str(lookup.where),
        )  # fmt: skip


def _key_type(kind: DataType, key: str, lookup: OnlineLookup) -> str:
    for of, name in _KEY_TYPES.items():
        if isinstance(kind, of):
            return name
    raise StepFailed(
        f"The lookup of model '{lookup.model}' has the key '{key}' of type {kind.simpleString()}.",
        fix="Keys are texts, whole numbers or booleans.", where=str(lookup.where),
    )  # fmt: skip


def timeline_values(run_spark: RunSpark, timeline: Timeline, model: str) -> Iterator[Row]:
    """Yield the rows of a timeline: keys, time, values."""
    frame, _ = run_spark.prepared(timeline.rows(), f"The lookup of model '{model}'")
    numbers = [F.col(quoted(each.name)).cast("double").alias(each.name) if isinstance(each.dataType, DecimalType) else F.col(quoted(each.name)) for each in frame.schema.fields]  # fmt: skip
    for batch in frame.select(*numbers).toArrow().to_batches():
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
