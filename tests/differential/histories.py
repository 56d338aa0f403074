"""What happens to a product: files arrive, come again, are renamed and taken away, code is edited, clocks jump, runs are killed.

A history is a list of moments. Each moment changes what lies in the data folder, perhaps the product's code, and then the product is
run. Days far apart have nothing to do with one another, so a source has several *stretches* of days, each with files and events of its
own: as many histories in one.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, seed as seeded, settings, strategies as st
from tests.differential.grammar import PLACES, Grammar, Product, Source, products
from tests.differential.reference import UTC, Clock, Row, clock_of

COLUMNS = ("id", "k", "at", "until", "v", "n")
LET_IN = ("extra", "EXTRA", "w t", "w_t")  # columns of files that nobody declared
YEARS = range(1996, 2025)
# What a run may be killed at; publishing, which is many acts, most often.
KILLS = (
    "perform",
    "_copy",
    "commit",
    "commit",
    "_move_quarantined",
    "_move_quarantined",
    "write",
    "begin",
    "end",
    "store_manifest",
    "add",
    "change",
)
EVERYTHING = Grammar()


@dataclass(frozen=True)
class Content:
    """What a file holds: rows, and the columns in the file's order; ``extra`` is a column that nobody declared."""

    rows: tuple[Row, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Put:
    """A file arrives, or comes again with other content."""

    source: str
    name: str
    content: Content


@dataclass(frozen=True)
class Kill:
    """Where a run is killed: before or after a call of a function that leaves a trace on the disk (`fresh.TRACES`).

    Parameters
    ----------
    trace : the function's name
    number : the calls are counted before and after, so 1 is before the first call and 2 after it; a run with fewer is not killed
    """

    trace: str
    number: int


@dataclass(frozen=True)
class Moment:
    """What happens before a run, and how the run goes.

    Parameters
    ----------
    gone : names of files that are taken away; what they brought stays
    numbers : numbers in the product's code that are edited
    shift_s : by how much the machine's clock is wrong
    shift_after : how often the run reads the clock before it jumps
    kill : where the run is killed, and the backfill after it, if there is one; the next run finishes
    backfill : days that are made again afterwards
    """

    puts: tuple[Put, ...] = ()
    gone: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)
    shift_s: int = 0
    shift_after: int = 0
    kill: Kill | None = None
    backfill: tuple[str, str] | None = None


@dataclass(frozen=True)
class History:
    """A product and what happens to it."""

    product: Product
    moments: tuple[Moment, ...] = field(repr=False)
    stretches: int = 1


def encoded(content: Content, source: Source) -> bytes:
    """Return the bytes of a file in the source's format."""
    if source.format == "parquet":
        zone = "UTC" if source.clock == "timestamp_utc" else None
        types = {"k": pa.string(), "at": pa.timestamp("us", zone), "until": pa.timestamp("us", zone), "v": pa.float64()}
        table = pa.table({
            column: pa.array([row.get(column) for row in content.rows], types.get(column, pa.int64())) for column in content.columns
        })  # fmt: skip
        sink = io.BytesIO()
        pq.write_table(table, sink)
        return sink.getvalue()
    if source.format == "json":
        lines = [json.dumps({column: _text(row.get(column)) for column in content.columns}) for row in content.rows]
    else:
        cells = [[_text(row.get(column)) for column in content.columns] for row in content.rows]
        lines = [",".join(content.columns), *(",".join("" if cell is None else str(cell) for cell in line) for line in cells)]
    return "".join(f"{line}\n" for line in lines).encode()


def _text(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}" if value.tzinfo is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value


def changes_of_clock(clock: Clock) -> list[dt.date]:
    """Return the days on which a zone's clocks change."""
    days = []
    for year in YEARS:
        for number in range(366):
            noon = dt.datetime(year, 1, 1, 12, tzinfo=UTC) + dt.timedelta(days=number)
            if noon.astimezone(clock.zone).utcoffset() != (noon + dt.timedelta(days=1)).astimezone(clock.zone).utcoffset():
                days.append((noon + dt.timedelta(days=1)).astimezone(clock.zone).date())
    return days


class Scribe:
    """Writes the files and events of one stretch of days of one source."""

    def __init__(self, source: Source, clock: Clock, first: dt.date, number: int, chance: random.Random) -> None:
        self.source, self.clock, self.chance = source, clock, chance
        self.days = [first + dt.timedelta(days=ahead) for ahead in range(chance.randint(3, 7))]
        self.stem = f"{source.name}_{number}"
        self.ids = 1000 * number

    def time(self, day: dt.date) -> dt.datetime:
        """Return a time of a day, on a quarter of an hour; most lie where clocks change or at midnight."""
        chance = self.chance
        minute = chance.choice(
            [0, 30, 60, 90, 120, 135, 150, 180, 210, chance.randrange(0, 1440, 15), chance.randrange(0, 1440, 15), 1425]
        )
        face = dt.datetime.combine(day, dt.time()) + dt.timedelta(minutes=minute)
        if self.source.clock == "timestamp":
            return face
        return face.replace(tzinfo=self.clock.zone, fold=chance.randint(0, 1)).astimezone(UTC)

    def row(self, day: dt.date) -> Row:
        """Return a row of a day."""
        chance = self.chance
        self.ids += 1
        at = self.time(day) if chance.random() < 0.97 else None
        later = dt.timedelta(minutes=15 * chance.randint(0, 120))
        return {
            "id": self.ids - (chance.random() < 0.1), "k": chance.choice("aaaab") if chance.random() < 0.95 else None, "at": at,
            "until": at + later if at is not None and chance.random() < 0.95 else None,
            "v": chance.randint(-96, 96) / 4 if chance.random() < 0.92 else None, "n": chance.randint(0, 9),
        }  # fmt: skip

    def let_in(self) -> Row:
        """Return the values of columns that nobody declared; of text, now and then a number less whole, or none."""
        chance = self.chance
        odd = [1.5, "x"] if self.source.format == "csv" and chance.random() < 0.1 else []
        return {name: chance.choice([*range(10 * number, 10 * number + 9), *odd]) for number, name in enumerate(LET_IN)}

    def content(self, day: dt.date) -> Content:
        """Return a file of a day, with some rows that are late, or early."""
        chance = self.chance
        rows = [self.row(day if chance.random() < 0.93 else chance.choice(self.days)) for _ in range(chance.randint(2, 8))]
        columns = [*COLUMNS]
        # Most files are alike: each other kind of file is a branch of the plan that reads them.
        if chance.random() < 0.25:
            columns = [name for name in columns if name != "n" or chance.random() < 0.6]
            columns += [name for name in LET_IN if self.source.drifts and chance.random() < 0.3]
            if "extra" in columns and "EXTRA" in columns:  # two columns that differ in case only are refused
                columns.remove(chance.choice(["extra", "EXTRA"]))
            chance.shuffle(columns)
        rows = [{**row, **self.let_in()} for row in rows]
        if self.source.format == "csv":
            rows = [{**row, "k": row["k"] or "c"} for row in rows]  # a null and an empty text are the same there
        return Content(
            tuple({**dict.fromkeys(COLUMNS), **{column: row[column] for column in columns}} for row in rows), tuple(columns)
        )

    def changed(self, content: Content) -> Content:
        """Return a file as it comes again: a value corrected, a row more or less."""
        chance, rows = self.chance, [dict(row) for row in content.rows]
        kind = chance.choice(["value", "value", "more", "less", "time"])
        if kind == "more" or len(rows) < 2:
            made = {**self.row(chance.choice(self.days)), **self.let_in()}
            rows.append({**dict.fromkeys(COLUMNS), **{column: made[column] for column in content.columns}, "k": made["k"] or "c"})
        elif kind == "less":
            rows.pop(chance.randrange(len(rows)))
        elif kind == "time":
            rows[chance.randrange(len(rows))]["at"] = self.time(chance.choice(self.days))
        else:
            rows[chance.randrange(len(rows))]["v"] = chance.randint(-96, 96) / 4
        return Content(tuple(rows), content.columns)

    def events(self, moments: int, *, calm: bool) -> list[tuple[list[Put], list[str]]]:
        """Return for each moment the files that are put and those that are taken away; ``calm``: new files alone arrive.

        Most files are there at first, or late, and of those that are there one or two have something happen to them in a moment: where
        much changes at once, what should have been made again is made again anyway.
        """
        chance = self.chance
        plan: list[tuple[list[Put], list[str]]] = [([], []) for _ in range(moments)]
        there: list[tuple[str, list[Content]]] = []
        late = [self.named(day, number) for number, day in enumerate(self.days)]
        for moment in range(moments):
            arriving = [file for file in late if chance.random() < (0.8 if moment == 0 else 0.4)]
            late = [file for file in late if file not in arriving]
            for _ in range(0 if calm else min(chance.choice([0, 1, 1, 1, 2]), len(there))):
                name, versions = there.pop(chance.randrange(len(there)))
                event = chance.random()
                if event < 0.6:
                    versions.append(self.changed(versions[-1]))
                elif event < 0.75 and len(versions) > 1:
                    versions.append(versions[-2])  # comes back as it was
                else:
                    plan[moment][1].append(name)
                    if event > 0.9:  # taken away for good
                        continue
                    name = f"{name.rpartition('.')[0]}r.{self.source.format}"
                arriving.append((name, versions))
            plan[moment][0].extend(Put(self.source.name, name, versions[-1]) for name, versions in arriving)
            there += arriving
        return plan

    def named(self, day: dt.date, number: int) -> tuple[str, list[Content]]:
        """Return the name of a day's file and what it holds."""
        return f"{self.stem}_{number}.{self.source.format}", [self.content(day)]


def written(product: Product, moments: int, stretches: int, seed: int, *, edits: bool, calm: bool = False) -> History:
    """Return a history of a product, of that many moments, by a seed; in a calm one files that came are left as they are."""
    chance, clock = random.Random(seed), clock_of(product.zone)
    turns = changes_of_clock(clock)
    puts: list[list[Put]] = [[] for _ in range(moments)]
    gone: list[list[str]] = [[] for _ in range(moments)]
    firsts = []
    for number, year in enumerate(chance.sample(YEARS, stretches)):
        here = [day for day in turns if day.year == year and 10 < day.timetuple().tm_yday < 350]
        turn = chance.choice(here) if here and chance.random() < 0.75 else dt.date(year, 6, 15)
        firsts.append(turn - dt.timedelta(days=chance.randint(0, 2)))
        for source in product.sources:
            for moment, (arriving, leaving) in enumerate(
                Scribe(source, clock, firsts[-1], number, chance).events(moments, calm=calm)
            ):
                puts[moment] += arriving
                gone[moment] += leaving
    made = []
    for moment in range(moments):
        backfilled = chance.choice(firsts)
        made.append(Moment(
            tuple(puts[moment]), tuple(gone[moment]),
            numbers={chance.choice(PLACES): chance.randint(3, 9)} if edits and moment and chance.random() < 0.6 else {},
            shift_s=chance.choice([0, 0, 0, -86_400, 3_600, -7_200]) if moment else 0,
            shift_after=chance.choice([0, 0, 20, 200]),
            kill=Kill(chance.choice(KILLS), chance.randint(1, 8)) if chance.random() < 0.2 else None,
            backfill=(str(backfilled), str(backfilled + dt.timedelta(days=chance.randint(0, 2)))) if moment and chance.random() < 0.1 else None,
        ))  # fmt: skip
    return History(product, tuple(made), stretches)


@st.composite
def histories(
    draw: Callable[..., Any],
    grammar: Grammar = EVERYTHING,
    stretches: int = 8,
    moments: int = 3,
    edits: bool | None = None,
    calm: bool = False,
) -> History:
    """Return a history: its product by the grammar, its files and events by a drawn seed."""
    product = draw(products(grammar))
    edited = draw(st.booleans()) if edits is None else edits
    return written(product, moments, stretches, draw(st.integers(0, 2**32)), edits=edited, calm=calm)


def drawn(number: int, grammar: Grammar = EVERYTHING, **more: Any) -> History:
    """Return the history of a seed. Hypothesis begins with a simple one, and goes on with ones much alike: the second is taken."""
    seen: list[History] = []

    @seeded(number)
    @settings(max_examples=2, database=None, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
    @given(histories(grammar, **more))
    def look(history: History) -> None:
        seen.append(history)

    look()
    return seen[-1]
