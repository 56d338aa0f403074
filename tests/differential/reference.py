"""What a product's tables are by the documentation, without caudal and without Spark: Python's zones and fractions, and DuckDB for SQL.

Rows are dictionaries. A wall time is a `datetime` without a zone, an instant one in UTC. Each function below is an operation of
`grammar.py`, by its name; rules in parentheses are those of docs/adr/0017.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from tests.differential.grammar import HOURS, OPERATIONS, Product, Source, Table

Row = dict[str, Any]
Rows = list[Row]
Time = dt.datetime
UTC = dt.UTC
HOUR, MICRO = dt.timedelta(hours=1), dt.timedelta(microseconds=1)
FAR = dt.timedelta(days=1)


class Clock:
    """A zone's clocks: the wall time that they show at an instant, and the instants at which they show a wall time."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)

    def face(self, at: Time) -> Time:
        """Return the wall time at an instant; a wall time as it stands."""
        return at if at.tzinfo is None else at.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def shown(self, face: Time) -> list[Time]:
        """Return the instants at which a wall time is shown: none, one or two, in order."""
        guesses = {face.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        return sorted(at for at in guesses if self.face(at) == face)

    def gap_end(self, face: Time) -> Time:
        """Return the instant at which the gap ends that a wall time lies in."""
        before = face.replace(tzinfo=self.zone, fold=0).utcoffset()
        after = face.replace(tzinfo=self.zone, fold=1).utcoffset()
        assert before is not None
        assert after is not None
        earliest, latest = face.replace(tzinfo=UTC) - max(before, after) - FAR, face.replace(tzinfo=UTC) - min(before, after) + FAR
        low, high = earliest, latest  # the offset changes once in between
        start = low.astimezone(self.zone).utcoffset()
        while high - low > MICRO:
            middle = low + (high - low) / 2
            low, high = (middle, high) if middle.astimezone(self.zone).utcoffset() == start else (low, middle)
        return high

    @cache  # noqa: B019 — a handful of zones, each made once
    def changes(self) -> frozenset[int]:
        """Return by how many seconds the zone's offset has changed since 1970."""
        seen = set()
        at, before = Time(1970, 1, 1, tzinfo=UTC), None
        while at.year < 2036:
            offset = at.astimezone(self.zone).utcoffset()
            assert offset is not None
            if before is not None and offset != before:
                seen.add(abs(int((offset - before).total_seconds())))
            before, at = offset, at + 12 * HOUR
        return frozenset(size for size in seen if size % 86_400)

    def elapses(self, width: str) -> bool:
        """Tell whether windows of a width lie so far apart in elapsed time (rule 4); else a day has the same slots always."""
        return all(change % (HOURS[width] * 3600) == 0 for change in self.changes())


@cache
def clock_of(zone: str) -> Clock:
    """Return a zone's clocks."""
    return Clock(zone)


def slot(face: Time, width: str) -> Time:
    """Return where the slot of a width begins that a wall time lies in."""
    midnight = face.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (face - midnight) // (HOURS[width] * HOUR) * (HOURS[width] * HOUR)


def windows_of(first: Time, width: str, clock: Clock, *, instants: bool) -> list[tuple[Time, Time]]:
    """Return start and end of the windows of a slot (rules 2 and 3): none where no time of it is shown, two where all of it is shown twice."""
    length = HOURS[width] * HOUR
    last = first + length - MICRO
    if not instants:
        return [(first, first + length)]
    starts, ends = clock.shown(first), clock.shown(last)
    if not starts and not ends and clock.gap_end(first) == clock.gap_end(last):
        return []
    if len(starts) == 2 and len(ends) == 2 and starts[1] - starts[0] >= length:
        return [(start, start + length) for start in starts]
    start = starts[0] if starts else clock.gap_end(first)
    return [(start, ends[-1] + MICRO if ends else clock.gap_end(last))]


def windows_of_day(day: dt.date, width: str, clock: Clock, *, instants: bool) -> list[tuple[Time, Time]]:
    """Return the windows that a fill puts into a day."""
    midnight = Time.combine(day, dt.time())
    slots = [midnight + place * HOURS[width] * HOUR for place in range(24 // HOURS[width])]
    if instants:
        return [window for first in slots for window in windows_of(first, width, clock, instants=True)]
    kept = [first for first in slots if windows_of(first, width, clock, instants=True)]  # none wholly in a gap (rule 2)
    return [(first, first + HOURS[width] * HOUR) for first in kept]


def window(at: Time, width: str, clock: Clock) -> tuple[Time, Time]:
    """Return start and end of the window that a time is in."""
    offered = windows_of(slot(clock.face(at), width), width, clock, instants=at.tzinfo is not None)
    return next(one for one in reversed(offered) if one[0] <= at)


def grouped(rows: Rows, key: Callable[[Row], Any]) -> dict[Any, Rows]:
    """Return the rows by a key, null being one."""
    groups: dict[Any, Rows] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def present(rows: Rows, column: str) -> list[Any]:
    """Return the values of a column that are not null."""
    return [row[column] for row in rows if row[column] is not None]


def total(values: Sequence[Any]) -> Any:
    """Return the exact sum, rounded once; of no value null."""
    if not values:
        return None
    return sum(values) if isinstance(values[0], int) else float(sum(map(Fraction, values)))


def mean(values: Sequence[Any]) -> float | None:
    """Return the exact sum, rounded, by the number of values; of no value null."""
    return float(total(values)) / len(values) if values else None


STATISTICS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "sum": total, "avg": mean, "mean": mean, "max": lambda values: max(values, default=None),
    "min": lambda values: min(values, default=None), "count": len,
}  # fmt: skip


class World:
    """What an operation may ask for beside its rows."""

    def __init__(self, product: Product, tables: Mapping[str, Rows]) -> None:
        self.product, self.tables = product, tables
        self.clock = clock_of(product.zone)


def scale(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    factor = world.product.numbers[options["place"]]
    return [{**row, options["as"]: None if row[options["of"]] is None else row[options["of"]] * factor} for row in rows]


def where(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    return [row for row in rows if row[options["of"]] is not None and row[options["of"]] >= options["least"]]


def tumble(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    name, width, time = options["as"], options["width"], options["time"]
    groups = grouped([row for row in rows if row[time] is not None], lambda row: (row["k"], window(row[time], width, world.clock)))
    made = [
        {
            "k": key, "window_start": start, "window_end": end, f"{name}_rows": len(members),
            f"{name}_x": STATISTICS[options["statistic"]](present(members, options["of"])),
        }
        for (key, (start, end)), members in groups.items()
    ]  # fmt: skip
    if options["fill"] is None:
        return made
    sums = options["fill"] == 0 and options["statistic"] == "sum"
    return filled(made, width, {f"{name}_rows": 0, **({f"{name}_x": 0 if options["whole"] else 0.0} if sums else {})}, world)


def filled(rows: Rows, width: str, values: Mapping[str, Any], world: World) -> Rows:
    """Return the rows, and for each key of a day one for each window of it that has none."""
    made = list(rows)
    for (key, day), members in grouped(rows, lambda row: (row["k"], world.clock.face(row["window_start"]).date())).items():
        there = {row["window_start"] for row in members}
        instants = members[0]["window_start"].tzinfo is not None
        for start, end in windows_of_day(day, width, world.clock, instants=instants):
            if start not in there:
                made.append({**dict.fromkeys(rows[0]), **values, "k": key, "window_start": start, "window_end": end})
    return made


def fill_gaps(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    return filled(rows, options["width"], {options["of"]: 0 if options["whole"] else 0.0}, world)


def lag(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    width, clock = options["width"], world.clock
    back = HOURS[options["back"]]
    by_time = {(row["k"], row["window_start"]): row[options["of"]] for row in rows}

    def place(start: Time) -> Time:
        return slot(clock.face(start), width)

    def earlier(start: Time) -> Time | None:
        if start.tzinfo is None:
            return start - back * HOUR
        if back % 24 and clock.elapses(width):
            return start - back * HOUR
        windows = windows_of(
            place(start) - back * HOUR, width, clock, instants=True
        )  # of the same wall time, or so many slots before
        own = windows_of(place(start), width, clock, instants=True)
        if not windows:
            return None
        return windows[-1][0] if len(own) == 2 and start == own[1][0] else windows[0][0]

    return [{**row, options["as"]: by_time.get((row["k"], earlier(row["window_start"])))} for row in rows]


def reckoned(options: Mapping[str, Any], world: World) -> Callable[[Time], Time]:
    """Return the line of time on which lengths are measured: slots' faces on a grid of long windows, else time itself (rule 6)."""
    width = options["width"]
    if width is None or world.clock.elapses(width):
        return lambda at: at
    return lambda at: at if at.tzinfo is None else slot(world.clock.face(at), width)


def rolling(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    time, length, line = options["time"], HOURS[options["back"]] * HOUR, reckoned(options, world)
    made = []
    for members in grouped(rows, lambda row: row["k"]).values():
        timed = sorted(((line(row[time]), row) for row in members if row[time] is not None), key=lambda pair: pair[0])
        times = [at for at, _ in timed]
        for row in members:
            if row[time] is None:
                made.append({**row, options["as"]: None})
                continue
            at = line(row[time])
            side = bisect.bisect_left if options["closed"] == "left" else bisect.bisect_right
            seen = [other for _, other in timed[side(times, at - length) : side(times, at)]]
            made.append({**row, options["as"]: STATISTICS[options["statistic"]](present(seen, options["of"]))})
    return made


def past_mean(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    time, length, line = options["time"], HOURS[options["back"]] * HOUR, reckoned(options, world)
    known = options["known"] or time
    made = []
    for members in grouped(rows, lambda row: row["k"]).values():
        timed = [row for row in members if row[time] is not None and row[known] is not None]
        for row in members:
            at = row[time]
            seen = [
                other for other in timed
                if at is not None and line(at) - length <= line(other[time]) and max(other[known], other[time]) < at
            ]  # fmt: skip
            made.append({**row, options["as"]: mean(present(seen, options["of"]))})
    return made


def as_of(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    there, theirs = world.tables[options["other"]], options["their_time"]
    tolerance = None if options["tolerance"] is None else HOURS[options["tolerance"]] * HOUR

    def order(row: Row) -> tuple[Any, ...]:
        value = row[options["of"]]
        return (row[theirs], value is not None, 0 if value is None else value)

    known = {key: sorted((row for row in rows_ if row[theirs] is not None), key=order)
             for key, rows_ in grouped(there, lambda row: row["k"]).items() if key is not None}  # fmt: skip
    made = []
    for row in rows:
        at = row[options["time"]]
        before = [other for other in known.get(row["k"], ()) if at is not None and other[theirs] <= at]
        fitting = before[-1:] if tolerance is None or (before and at - before[-1][theirs] <= tolerance) else []
        made.append({**row, options["as"]: fitting[0][options["of"]] if fitting else None})
    return made


def calendar(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    time = options["time"]
    faces = [None if row[time] is None else world.clock.face(row[time]) for row in rows]
    return [
        {**row, f"{time}_hour": face and face.hour, f"{time}_weekday": face and face.weekday()}
        for row, face in zip(rows, faces, strict=True)
    ]  # fmt: skip


def pandas(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    name = f"{options['as']}_total"
    sums = {key: total(present(members, options["of"])) for key, members in grouped(rows, lambda row: row["k"]).items()}
    return [{"k": key, name: None if value is None else float(value)} for key, value in sums.items()]


def query(rows: Rows, options: Mapping[str, Any], world: World, table: Table) -> Rows:
    if not rows:
        return []
    columns = dict.fromkeys(column for column in ("k", options["time"], options["of"]) if column)
    types = {
        "k": pa.string(),
        options["time"]: _arrow_time(rows, options["time"]),
        options["of"]: _arrow_number(rows, options["of"]),
    }
    frame = pa.table({column: pa.array([row[column] for row in rows], types[column]) for column in columns})
    connection = duckdb.connect()
    connection.register(table.inputs[0], frame)
    quoted = {name: '"at"' if value == "at" else value for name, value in options.items()}  # a word of DuckDB's
    text = OPERATIONS[table.steps[0].name].query.format(input=table.inputs[0], **quoted)  # type: ignore[attr-defined]
    made: Rows = connection.sql(text).to_arrow_table().to_pylist()
    connection.close()
    return [{column: _plain(value) for column, value in row.items()} for row in made]


def _arrow_time(rows: Rows, column: str | None) -> pa.DataType:
    instants = column is not None and any(row[column] is not None and row[column].tzinfo is not None for row in rows)
    return pa.timestamp("us", "UTC" if instants else None)


def _arrow_number(rows: Rows, column: str) -> pa.DataType:
    return pa.int64() if any(isinstance(row[column], int) for row in rows) else pa.float64()


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return int(value) if isinstance(value, Decimal) else value  # DuckDB's sum of whole numbers


MEANINGS: dict[str, Callable[[Rows, Mapping[str, Any], World, Table], Rows]] = {
    "scale": scale, "where": where, "tumble": tumble, "fill_gaps": fill_gaps, "lag": lag, "rolling": rolling, "past_mean": past_mean,
    "as_of": as_of, "calendar": calendar, "pandas": pandas, "sql_line": query, "sql_window": query, "sql_totals": query,
}  # fmt: skip


def evaluate(product: Product, sources: Mapping[str, Rows]) -> tuple[dict[str, Rows], dict[str, int]]:
    """Return the rows of every source and table, and how many rows of each are in quarantine.

    Parameters
    ----------
    sources : rows of each source as its files have them, each with its ``_file``
    """
    tables: dict[str, Rows] = {}
    aside: dict[str, int] = {}
    world = World(product, tables)
    for source in product.sources:
        tables[source.name] = judged_source(source, sources[source.name], world)
        aside[source.name] = len(sources[source.name]) - len(tables[source.name])
    for table in product.tables:
        rows = tables[table.inputs[0]]
        for step in table.steps:
            rows = MEANINGS[step.name](rows, step.options, world, table)
        if not table.shape.files:
            rows = [{column: value for column, value in row.items() if column != "_file"} for row in rows]
        kept = judged_table(table, rows, world)
        aside[table.name] = len(rows) - len(kept)
        tables[table.name] = kept
    return tables, aside


def judged_source(source: Source, rows: Rows, world: World) -> Rows:
    """Return the rows that keep the source's expectations; keys are compared within a file, and a day where there are days."""
    if source.between:
        rows = [row for row in rows if row["v"] is None or -20 <= row["v"] <= 20]
    if not source.unique:
        return rows
    kept = []
    for members in grouped(rows, lambda row: (row["_file"], day_of(row["at"], world) if source.partition else None)).values():
        kept += firsts(members, ("id",))
    return kept


def judged_table(table: Table, rows: Rows, world: World) -> Rows:
    """Return the rows that keep the table's expectation; keys are compared within a day where there are days, else within a file."""
    if not table.unique:
        return rows
    kept = []
    parts = {"day": lambda row: day_of(row[table.shape.time], world), "file": lambda row: row["_file"], None: lambda row: None}
    for members in grouped(rows, parts[table.partition]).values():
        kept += firsts(members, ("k", table.shape.time) if table.shape.time else ("k",))
    return kept


def firsts(rows: Rows, key: Sequence[str]) -> Rows:
    """Return of the rows with one key the one whose values are lowest from left to right; rows with a null in it all stay."""

    def order(row: Row) -> list[tuple[bool, Any]]:
        return [(value is not None, value if value is not None else 0) for value in row.values()]

    groups = grouped(rows, lambda row: tuple(row[column] for column in key))
    return [row for values, members in groups.items() for row in ([min(members, key=order)] if None not in values else members)]


def day_of(at: Time | None, world: World) -> dt.date | None:
    """Return the day of a time."""
    return None if at is None else world.clock.face(at).date()
