"""Write ``docs/equality.md`` from the table of what Sail computes as Spark does: ``python tools/equality.py``. A test holds the two together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from caudal.engine.sail.results import EngineAgreement
from caudal.engine.sail.table import COMMAND, FILE, EqualityTable, read_table

PAGE = Path(__file__).parent.parent / "docs" / "equality.md"
# What users write most, and what of it surprises.
COMMON = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "==",
    "<",
    "<=>",
    "abs",
    "round",
    "ceil",
    "floor",
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "stddev",
    "median",
    "percentile",
    "percentile_approx",
    "cast",
    "try_cast",
    "upper",
    "lower",
    "trim",
    "substring",
    "concat",
    "concat_ws",
    "split",
    "regexp_replace",
    "regexp_extract",
    "rlike",
    "like",
    "replace",
    "lpad",
    "length",
    "initcap",
    "date_add",
    "datediff",
    "date_format",
    "date_trunc",
    "to_date",
    "to_timestamp",
    "unix_timestamp",
    "from_unixtime",
    "weekday",
    "dayofweek",
    "weekofyear",
    "year",
    "month",
    "hour",
    "last_day",
    "add_months",
    "months_between",
    "from_utc_timestamp",
    "coalesce",
    "greatest",
    "least",
    "when",
    "in",
    "between",
    "isnan",
    "explode",
    "array_sort",
    "sort_array",
    "element_at",
    "array_contains",
    "transform",
    "filter",
    "aggregate",
    "size",
    "to_json",
    "from_json",
    "get_json_object",
    "hash",
    "xxhash64",
    "sha2",
    "md5",
    "exp",
    "log",
    "pow",
    "sqrt",
]
STATUSES = {
    "equal": "equal to the bit",
    "raises": "equal, but for rows for which Sail raises and Spark gives a value: the engine `auto` does such a step on Spark once it has raised",
    "order": "equal but for what depends on the order of rows on Spark too: the last digits of sums of doubles",
    "digits": "other last digits",
    "different": "other values, other types, or no error where Spark raises",
    "unsupported": "refused by Sail",
}
LONGEST = 110


def page(table: EqualityTable) -> str:
    """Return the page."""
    counts = Counter(verdict.status for verdict in table.verdicts.values())
    names = {name for name, _ in table.verdicts}
    rows = "\n".join(f"| {STATUSES[status]} | {counts[status]} |" for status in STATUSES)
    return f"""# What Sail computes as Spark does

`{COMMAND}` computes each function, operator, cast, window frame, join, set, order and writer on both engines,
over edge values of each type, with columns and with constants, as a text of SQL and as PySpark's message, and compares values and types to the bit, and which rows raise. What it
finds is data, [table.json](../src/caudal/engine/sail/table.json): by construct and by the types of its arguments. Before Sail computes a table, its plan is held against that
table (`caudal.engine.sail.check`): with the engine `auto` a table whose plan has anything that is not in it, or differs, is computed by Spark; with `sail` it is computed all the same, and the
run says what may differ ([engines.md](engines.md)). What cannot be told from a plan counts as not compared, as does what depends on more than its rows: chance, the clock, the order in which rows happen to come.

Sail {table.pysail} beside Spark {table.spark}, {len(names)} constructs with {len(table.verdicts)} combinations of types:

| what was found | combinations |
|---|---|
{rows}

For {len(table.rewritings)} of those that differ Sail computes an equal expression in their place (`caudal.engine.sail.rewriting`): sums and products of whole numbers that raise where they overflow, `round` and `rint`, doubles as texts as Java writes
them, `max` and `min` of NaN, `weekday`. Times are converted by zones (`zones.json`: compared at every change of clocks from 1840 to 2099) for these years. Where Spark's own result depends on the order in which it adds (a sum of `bigint` that overflows on the way, though its total does not), the total counts. Another version of Sail is refused until `{COMMAND}` has compared it; its table then lies in the user's cache.

**Not promised.** Values are samples: a construct whose difference shows at none of them counts as equal. Constructs are compared one by one, not in each other: a fault of an optimizer
that shows only in a larger plan is not seen (`tests/differential/test_engines.py` compares fresh values, the conformance tests whole products). Doubles of `sum` and `avg` are compared on
values whose sums are exact. Where an order has ties (`row_number`, `lag`, `limit` after a sort), either engine may take either row. Keys of range frames whose bounds lie beyond the ends
of their type are an error on Spark only. Where a struct is null and Arrow holds values of its fields below it (frames made in memory, results of functions in Python), Sail shows them.
Where only a comparison needs a sum that overflows (`n + 1 > 0` in a filter), Sail may compare the exact value where Spark raises. A query in SQL is not rewritten: what differs in it goes to Spark.

## Common functions that differ

| function | arguments | for | Spark | Sail |
|---|---|---|---|---|
{_differences(table)}

## With an equal expression

| expression | arguments | equal |
|---|---|---|
{_rewritings(table)}

## Equal with every type that was compared

{_equal(table)}
"""


def _differences(table: EqualityTable) -> str:
    lines = []
    for name in COMMON:
        for (other, arguments), verdict in sorted(table.verdicts.items()):
            if other == name and verdict.status not in ("equal", "raises") and (name, arguments) not in table.rewritings:
                lines.append(f"| `{name}` | {_cell(arguments)} | {_cells(verdict)} |")
                break
    return "\n".join(lines).replace("`|`", "`\\|`")


def _cells(verdict: EngineAgreement) -> str:
    if verdict.example:
        return " | ".join(_cell(text) for text in verdict.example)
    return f"{_cell(verdict.reason)} | | "


def _cell(text: str) -> str:
    short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    plain = "".join(character if character.isprintable() else "�" for character in short)
    return "`" + plain.replace("|", "\\|").replace("`", "'") + "`" if plain else ""


def _rewritings(table: EqualityTable) -> str:
    return "\n".join(
        f"| `{name}` | {_cell(arguments)} | {_cell(template)} |" for (name, arguments), template in sorted(table.rewritings.items())
    )


def _equal(table: EqualityTable) -> str:
    statuses: dict[str, set[str]] = {}
    for (name, _), verdict in table.verdicts.items():
        statuses.setdefault(name, set()).add(verdict.status)
    return ", ".join(f"`{name}`" for name in sorted(statuses) if statuses[name] == {"equal"})


if __name__ == "__main__":
    PAGE.write_text(page(read_table(FILE)), encoding="utf-8")
