"""Products drawn from a grammar: sources with files of days, and tables whose functions are chains of one to three operations.

An operation says what rows it takes (`Operation.fits`), its parameters (`draw`), its line in the product's text (`line`) and the rows
that it gives (`shape`). What it means is said a second time, without caudal, by the function of its name in `reference.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

ZONES = (
    "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "America/Asuncion", "Africa/Casablanca",
    "America/Santiago",
)  # fmt: skip
FORMATS = ("csv", "parquet", "json")
CLOCKS = ("timestamp", "timestamp_utc")
PLACES = ("inline", "constant", "module", "settings")  # where a number of a table's code may stand
WIDTHS = ("1 hour", "3 hours", "6 hours", "12 hours", "1 day")
BACKS = ("1 day", "3 hours", "12 hours", "1 day", "36 hours")  # short, so that a few days tell how far a chain looks back
HOURS = {"1 hour": 1, "3 hours": 3, "6 hours": 6, "12 hours": 12, "1 day": 24, "36 hours": 36, "2 days": 48}


@dataclass(frozen=True)
class Shape:
    """The rows of a frame: which column is the time, which numbers there are, whether rows are windows of a width."""

    columns: tuple[str, ...]
    number: str
    time: str | None = "at"
    width: str | None = None
    files: bool = False  # has `_file`
    whole: bool = False  # the number is a whole one

    def plus(self, column: str, whole: bool | None = None) -> Shape:
        """Return this shape with a column more, which later operations take."""
        return replace(self, columns=(*self.columns, column), number=column, whole=self.whole if whole is None else whole)


EVENTS = Shape(("id", "k", "at", "until", "v", "n"), "v", files=True)


@dataclass(frozen=True)
class Step:
    """An operation of a table's function, with its parameters."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Files of a folder, ``<name>_*.<format>``."""

    name: str
    format: str
    clock: str
    partition: str | None
    unique: bool = False
    between: bool = False
    drifts: bool = False  # files bring columns that nobody declared; a name or a type that does not hold has all files read again


@dataclass(frozen=True)
class Table:
    """A table: its function's operations, one after the other, on its first input."""

    name: str
    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    shape: Shape
    clock: str
    partition: str | None
    unique: bool = False


@dataclass(frozen=True)
class Product:
    """A product and the numbers in its code by the place where they stand."""

    zone: str
    sources: tuple[Source, ...]
    tables: tuple[Table, ...]
    numbers: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(PLACES, 2))


class Operation:
    """What every operation has; this one's methods are for one that takes all rows and adds nothing."""

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        """Tell whether rows of this shape can be taken, with the tables there are of the same clock."""
        return True

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        """Return the parameters; ``name`` is a new column's."""
        return {}

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        """Return the shape of the rows that it gives."""
        return shape

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        """Return the expression that makes the new frame of ``rows``."""
        raise NotImplementedError


class Scale(Operation):
    """A number times a number of the code."""

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        return {"of": shape.number, "as": f"{name}_scaled", "place": draw(st.sampled_from(PLACES))}

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        return shape.plus(options["as"])

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        column = f"F.col('{options['of']}')"
        scaled = {
            "inline": f"{column} * {{inline}}", "constant": f"{column} * FACTOR", "settings": f"{column} * SETTINGS['factor']",
            "module": f"rules.scaled({column})",
        }  # fmt: skip
        return f"rows.withColumn('{options['as']}', {scaled[options['place']]})"


class Where(Operation):
    """Some of the rows."""

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        return {"of": shape.number, "least": draw(st.integers(-3, 3))}

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        return f"rows.where(F.col('{options['of']}') >= {options['least']})"


class Tumble(Operation):
    """Windows of a fixed width."""

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        return shape.time is not None

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        width = draw(st.sampled_from(WIDTHS))
        fill = draw(st.sampled_from([None, None, 0, "rows"]))
        statistic = draw(st.sampled_from(["sum", "avg", "max"]))
        whole = shape.whole and statistic != "avg"
        return {
            "of": shape.number,
            "time": shape.time,
            "width": width,
            "as": name,
            "fill": fill,
            "statistic": statistic,
            "whole": whole,
        }

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        name = options["as"]
        columns = ("k", "window_start", "window_end", f"{name}_rows", f"{name}_x")
        return Shape(columns, f"{name}_x", "window_start", options["width"], whole=options["whole"])

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        name, fill = options["as"], options["fill"]
        said = "" if fill is None else ", fill=0" if fill == 0 else f", fill={{'{name}_rows': 0}}"
        aggregates = f"{name}_rows='count', {name}_x=('{options['statistic']}', '{options['of']}')"
        return f"cd.tumble(rows, '{options['width']}', by=['k']).agg({aggregates}{said})"


class FillGaps(Operation):
    """Windows without a row, put in."""

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        return shape.width is not None

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        return {"width": shape.width, "of": shape.number, "whole": shape.whole}

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        return f"cd.fill_gaps(rows, {{'{options['of']}': 0}}, by=['k'], step='{options['width']}')"


class Lag(Operation):
    """The value of exactly so long ago."""

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        return shape.width is not None

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        fitting = [back for back in BACKS if HOURS[back] % HOURS[str(shape.width)] == 0]
        return {"of": shape.number, "width": shape.width, "back": draw(st.sampled_from(fitting)), "as": f"{name}_before"}

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        return shape.plus(options["as"])

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        given = f"{options['of']}_lag_{options['back'].replace(' ', '_')}"
        return f"cd.lag(rows, '{options['of']}', ['{options['back']}'], by=['k']).withColumnRenamed('{given}', '{options['as']}')"


class Rolling(Operation):
    """A statistic of the time before a row."""

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        return shape.time is not None

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        return {
            "of": shape.number, "time": shape.time, "width": shape.width, "back": draw(st.sampled_from(BACKS)), "as": f"{name}_rolling",
            "statistic": draw(st.sampled_from(["sum", "mean", "min", "count"])), "closed": draw(st.sampled_from(["left", "right"])),
        }  # fmt: skip

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        return shape.plus(options["as"], {"count": True, "mean": False}.get(options["statistic"]))

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        said = f"'{options['of']}', '{options['back']}', '{options['statistic']}', by=['k'], closed='{options['closed']}'"
        return f"cd.rolling(rows, {said}, name='{options['as']}')"


class PastMean(Operation):
    """The mean of what was known before a row."""

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        return shape.time is not None

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        return {
            "of": shape.number, "time": shape.time, "width": shape.width, "back": draw(st.sampled_from(BACKS)), "as": f"{name}_past",
            "known": draw(st.sampled_from([None, "until"])) if "until" in shape.columns else None,
        }  # fmt: skip

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        return shape.plus(options["as"], False)

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        known = f", known='{options['known']}'" if options["known"] else ""
        return f"cd.past_mean(rows, '{options['of']}', ['k'], window='{options['back']}'{known}, name='{options['as']}')"


class AsOf(Operation):
    """The newest row of another table that was known at a row's time."""

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        return shape.time is not None and bool(self._others(others))

    def _others(self, others: Mapping[str, Shape]) -> list[str]:
        return [name for name, shape in others.items() if shape.time is not None]

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        other = draw(st.sampled_from(self._others(others)))
        theirs = "window_end" if "window_end" in others[other].columns else others[other].time
        tolerance = draw(st.sampled_from([*BACKS, None]))
        return {
            "other": other, "time": shape.time, "their_time": theirs, "of": others[other].number, "as": f"{name}_seen",
            "tolerance": tolerance, "whole": others[other].whole,
        }  # fmt: skip

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        return shape.plus(options["as"], options["whole"])

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        theirs = f"F.col('{options['their_time']}').alias('{options['as']}_at'), F.col('{options['of']}').alias('{options['as']}')"
        tolerance = f", tolerance='{options['tolerance']}'" if options["tolerance"] else ""
        other = f"{options['other']}.select('k', {theirs})"
        return f"cd.as_of_join(rows, {other}, 'k', left_time='{shape.time}', right_time='{options['as']}_at'{tolerance}).drop('{options['as']}_at')"


class Calendar(Operation):
    """Hour and weekday of a row's time."""

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        return shape.time is not None and f"{shape.time}_hour" not in shape.columns

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        return {"time": shape.time}

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        time = options["time"]
        return replace(shape, columns=(*shape.columns, f"{time}_hour", f"{time}_weekday"))

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        return "cd.calendar(rows, parts=['hour', 'weekday'])"


class Pandas(Operation):
    """Totals by key of a pandas frame; without times, so without days."""

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        return {"of": shape.number, "as": name}

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        return Shape(("k", f"{options['as']}_total"), f"{options['as']}_total", None)

    def line(self, options: Mapping[str, Any], shape: Shape) -> str:
        return f"totals(rows, '{options['of']}', '{options['as']}_total')"


class SqlLine(Operation):
    """A query that takes each row by itself."""

    query = "SELECT k, {time}, {of} * 2 AS {as} FROM {input} WHERE {of} IS NULL OR {of} <> 1"

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        return shape.time == "at"  # a query's result does not say that its rows are windows

    def draw(self, draw: Any, shape: Shape, others: Mapping[str, Shape], name: str) -> dict[str, Any]:
        return {"of": shape.number, "as": f"{name}_sql", "time": shape.time}

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        return Shape(("k", options["time"], options["as"]), options["as"], options["time"], whole=shape.whole)


class SqlWindow(SqlLine):
    """A query that looks a day back, as it declares."""

    query = (
        "SELECT k, {time}, {of}, sum({of}) OVER (PARTITION BY k ORDER BY {time} RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND CURRENT ROW)"
        " AS {as} FROM {input}"
    )

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        return Shape(("k", options["time"], options["of"], options["as"]), options["as"], options["time"], whole=shape.whole)


class SqlTotals(SqlLine):
    """A query of all rows, without days."""

    query = "SELECT k, count(*) AS {as}_rows, max({of}) AS {as} FROM {input} GROUP BY k"

    def fits(self, shape: Shape, others: Mapping[str, Shape]) -> bool:
        return True

    def shape(self, shape: Shape, options: Mapping[str, Any]) -> Shape:
        return Shape(("k", f"{options['as']}_rows", options["as"]), options["as"], None, whole=shape.whole)


OPERATIONS: dict[str, Operation] = {
    "tumble": Tumble(), "rolling": Rolling(), "lag": Lag(), "fill_gaps": FillGaps(), "past_mean": PastMean(), "as_of": AsOf(),
    "scale": Scale(), "where": Where(), "calendar": Calendar(), "pandas": Pandas(), "sql_line": SqlLine(),
    "sql_window": SqlWindow(), "sql_totals": SqlTotals(),
}  # fmt: skip
QUERIES = ("sql_line", "sql_window", "sql_totals")
OFTEN = {"tumble": 4, "fill_gaps": 3, "lag": 6, "rolling": 4, "past_mean": 3, "as_of": 3}  # how often one is drawn; others once
ALONE = (*QUERIES, "pandas")  # a table of its own, or the last operation of one
ROW_BY_ROW = ("scale", "where")  # may be made file by file


@dataclass(frozen=True)
class Grammar:
    """What products are drawn from; all of it, unless a part is tried by itself.

    Parameters
    ----------
    lanes : int, sources, each with a chain of tables of its own
    depth : int, the most tables in a chain
    """

    lanes: int = 2
    depth: int = 3
    zones: Sequence[str] = ZONES
    clocks: Sequence[str] = CLOCKS
    formats: Sequence[str] = FORMATS
    operations: Collection[str] = tuple(OPERATIONS)
    partitions: Sequence[str | None] = ("day", "day", "day", None)
    drifts: Sequence[bool] = (False, False, False, True)


@st.composite
def sources(draw: Callable[..., Any], name: str, clock: str, grammar: Grammar) -> Source:
    """Return a source."""
    return Source(
        name, draw(st.sampled_from(grammar.formats)), clock, draw(st.sampled_from(grammar.partitions)),
        unique=draw(st.integers(0, 4)) == 0, between=draw(st.integers(0, 4)) == 0,
        drifts=draw(st.sampled_from(grammar.drifts)),
    )  # fmt: skip


@st.composite
def tables(
    draw: Callable[..., Any],
    name: str,
    input: str,
    others: Mapping[str, Shape],
    source: Source,
    filed: bool,
    zone: str,
    grammar: Grammar,
) -> Table:
    """Return a table that reads ``input`` (and, for a join as of a time, another), by one to three operations."""
    shape, steps, inputs = others[input], [], [input]
    for number in range(draw(st.sampled_from([2, 1, 3]))):
        fitting = [
            name for name in OPERATIONS
            if name in grammar.operations and OPERATIONS[name].fits(shape, others) and (number == 0 or name not in QUERIES)
            and not (name == "sql_window" and source.clock == "timestamp_utc")  # an instant less a day is another in DuckDB
        ]  # fmt: skip
        if not fitting:
            break
        chosen = draw(st.sampled_from([name for name in fitting for _ in range(OFTEN.get(name, 1))]))
        operation = OPERATIONS[chosen]
        options = operation.draw(draw, shape, others, f"{name}_{number}")
        if options.get("width") == "1 hour" and zone == "Australia/Lord_Howe":
            options["width"] = (
                "3 hours"  # hours neither divide half an hour nor are longer than an hour, by which it changed once: not counted
            )
        steps.append(Step(chosen, options))
        if "other" in options:
            inputs.append(options["other"])
        shape = operation.shape(shape, options)
        if chosen in ALONE:
            break
    row_by_row = filed and shape.files and {step.name for step in steps} <= set(ROW_BY_ROW)
    choices = [*(["day"] * 4 if shape.time is not None else []), *(["file"] * 3 if row_by_row else []), None]
    unique = draw(st.integers(0, 5)) == 0
    return Table(name, tuple(dict.fromkeys(inputs)), tuple(steps), shape, source.clock, draw(st.sampled_from(choices)), unique)


@st.composite
def products(draw: Callable[..., Any], grammar: Grammar) -> Product:
    """Return a product of some sources, each with a chain of tables; chains may look at one another's tables."""
    zone = draw(st.sampled_from(grammar.zones))
    made_sources: list[Source] = []
    made_tables: list[Table] = []
    shapes: dict[str, dict[str, Shape]] = {clock: {} for clock in CLOCKS}
    for lane in range(grammar.lanes):
        clock = draw(st.sampled_from(grammar.clocks))
        source = draw(sources(f"s{lane}", clock, grammar))
        made_sources.append(source)
        shapes[clock][source.name] = EVENTS
        last, filed = source.name, True
        for place in range(draw(st.sampled_from(range(grammar.depth, 0, -1)))):
            table = draw(tables(f"t{lane}{place}", last, shapes[clock], source, filed, zone, grammar))
            if not table.steps:
                break
            made_tables.append(table)
            shapes[clock][table.name] = table.shape
            last, filed = table.name, table.partition == "file"
            if table.shape.time is None:
                break
    return Product(zone, tuple(made_sources), tuple(made_tables))
