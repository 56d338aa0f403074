"""Whole queries that both engines run: groups, joins, sets, orders, files, functions in Python."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pyspark.sql import functions as F

from caudal.engine.sail.signature import Construct
from caudal.engine.sail.values import TYPES

ATOMS = [
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "dec5_0",
    "dec10_2",
    "dec18_6",
    "dec20_0",
    "dec38_18",
    "string",
    "binary",
    "date",
    "timestamp",
    "timestamp_ntz",
]
NESTED = [
    "a_boolean",
    "a_int",
    "a_bigint",
    "a_double",
    "a_string",
    "a_date",
    "a_timestamp",
    "a_a_int",
    "a_struct",
    "struct",
    "plain",
    "a_plain",
]
MAPS = ["m_string_int", "m_string_string", "m_int_double"]
HOW = {
    "inner": "inner", "left": "left outer", "right": "right outer", "full": "full outer", "left_semi": "left semi", "left_anti": "left anti",
}  # fmt: skip
EVERYWHERE = ("int", "string", "double", "timestamp")
"""Kinds whose joins are compared in every direction."""
DIRECTIONS = {
    "asc_nulls_first": "asc nulls first", "asc_nulls_last": "asc nulls last", "desc_nulls_first": "desc nulls first", "desc_nulls_last": "desc nulls last",
}  # fmt: skip


@dataclass(frozen=True)
class WholeQuery:
    """A query of the rows.

    Attributes
    ----------
    name : str; where it begins with ``in order``, the order of its rows is compared, too
    constructs : what it compares
    function : from the rows, and ``bound``, to a data frame
    """

    name: str
    constructs: tuple[Construct, ...]
    function: Callable[..., Any]
    bound: tuple[Any, ...] = ()

    def run(self, rows: Any) -> Any:
        """Return its data frame."""
        return self.function(rows, *self.bound)


@cache
def queries() -> dict[str, WholeQuery]:
    """Return the queries by name."""
    parts = (_groups(), _joins(), _sets(), _orders(), _files(), _python(), _generators(), _others())
    return {query.name: query for part in parts for query in part}


def class_of(kind: str) -> str:
    """Return the class of a kind of columns."""
    return TYPES[kind][0]


def _groups() -> Iterator[WholeQuery]:
    for kind in (*ATOMS, *NESTED):
        column, key = f"a_{kind}", (class_of(kind),)
        yield WholeQuery(f"group by {kind}", (Construct("group by", key),), _count_by, (column,))
        yield WholeQuery(f"group by two {kind}", (Construct("group by", key),), _sum_by, (column,))
        yield WholeQuery(f"rollup {kind}", (Construct("rollup", key),), _rollup, (column,))
        yield WholeQuery(f"cube {kind}", (Construct("cube", key),), _cube, (column,))
        yield WholeQuery(f"distinct {kind}", (Construct("distinct", key),), _distinct, (column,))
        yield WholeQuery(f"distinct of two {kind}", (Construct("distinct", key),), _distinct, (column, "g"))
    yield WholeQuery("group by nothing", (Construct("group by"),), _whole)
    yield WholeQuery("group by nothing of nothing", (Construct("group by"),), _whole_of_nothing)
    yield WholeQuery("group by of nothing", (Construct("group by", ("int",)),), _groups_of_nothing)
    pivot = (Construct("pivot", ("values",)), Construct("pivot", ("int",)))
    yield WholeQuery("pivot", pivot, _pivot, ("a_boolean", (True, False)))
    yield WholeQuery("pivot of strings", pivot, _pivot, ("a_string", ("a", "abc", "12")))


def _count_by(t: Any, column: str) -> Any:
    return t.groupBy(column).count()


def _sum_by(t: Any, column: str) -> Any:
    return t.groupBy(column, "g").agg(F.sum("id"))


def _rollup(t: Any, column: str) -> Any:
    return t.rollup("g", column).agg(F.count("*"))


def _cube(t: Any, column: str) -> Any:
    return t.cube(column, "g").agg(F.count("*"))


def _distinct(t: Any, *columns: str) -> Any:
    return t.select(*columns).distinct() if len(columns) == 1 else t.select(*columns).dropDuplicates()


def _whole(t: Any) -> Any:
    return t.agg(F.count("*"), F.sum("id"), F.max("a_string"))


def _whole_of_nothing(t: Any) -> Any:
    return _whole(t.filter("id < 0"))


def _groups_of_nothing(t: Any) -> Any:
    return t.filter("id < 0").groupBy("g").count()


def _pivot(t: Any, column: str, values: tuple[Any, ...]) -> Any:
    return t.groupBy("g").pivot(column, list(values)).agg(F.sum("id"), F.max("o"))


def _joins() -> Iterator[WholeQuery]:
    for kind in (*ATOMS, "struct", "plain", "a_int", "a_string"):
        for how, name in HOW.items():
            if how in ("right", "full", "left_semi") and kind not in EVERYWHERE:
                continue
            yield WholeQuery(
                f"{how} join using {kind}", (Construct(f"{name} join using", (class_of(kind),)),), _join_using, (kind, how)
            )
            yield WholeQuery(f"{how} join on {kind}", (Construct(f"{name} join on", (class_of(kind),)),), _join_on, (kind, how))
    for how, name in HOW.items():
        yield WholeQuery(f"{how} join by a range", (Construct(f"{name} join"),), _join_by_range, (how,))
        for kind in EVERYWHERE:
            constructs = (Construct(f"{name} join null-safe", (class_of(kind),)),)
            yield WholeQuery(f"{how} join null-safe {kind}", constructs, _join_null_safe, (kind, how))
        yield WholeQuery(f"{how} join with nothing", (Construct(f"{name} join using", ("int",)),), _join_with_nothing, (how,))
    yield WholeQuery("cross join", (Construct("cross join"),), _cross_join)


def _sides(t: Any, kind: str, right_name: str) -> tuple[Any, Any]:
    left = t.select(F.col(f"a_{kind}").alias("k"), "id")
    return left, t.select(F.col(f"b_{kind}").alias(right_name), F.col("o").alias("p")).filter("p % 3 = 0")


def _join_using(t: Any, kind: str, how: str) -> Any:
    left, right = _sides(t, kind, "k")
    return left.join(right, "k", how)


def _join_on(t: Any, kind: str, how: str) -> Any:
    left, right = _sides(t, kind, "l")
    return left.join(right, left["k"] == right["l"], how)


def _join_by_range(t: Any, how: str) -> Any:
    left, right = t.select("id", "a_int").alias("l"), t.select(F.col("o").alias("p"), "b_int").filter("p < 40").alias("r")
    return left.join(right, (F.col("l.a_int") >= F.col("r.b_int")) & (F.col("l.id") < F.col("r.p")), how)


def _join_null_safe(t: Any, kind: str, how: str) -> Any:
    left = t.select("id", F.col(f"a_{kind}").alias("k"), "g")
    right = t.select(F.col("o").alias("p"), F.col(f"b_{kind}").alias("l"), F.col("g").alias("q")).filter("p < 60")
    return left.join(right, left["k"].eqNullSafe(right["l"]) & (left["g"] != right["q"]), how)


def _join_with_nothing(t: Any, how: str) -> Any:
    return t.select("id", "g").join(t.filter("id < 0").select("g", "o"), "g", how)


def _cross_join(t: Any) -> Any:
    return t.select("id").crossJoin(t.select(F.col("o").alias("p"), "a_string").filter("p < 7"))


def _sets() -> Iterator[WholeQuery]:
    methods = {
        "union": "union all",
        "intersect": "intersect",
        "subtract": "except",
        "intersectAll": "intersect all",
        "exceptAll": "except all",
    }
    for kind in (*ATOMS, *NESTED):
        key = (class_of(kind),)
        for method, name in methods.items():
            yield WholeQuery(f"{method} {kind}", (Construct(name, key),), _set, (kind, method))
    for kind in (*ATOMS, *NESTED, *MAPS):
        key = (class_of(kind),)
        yield WholeQuery(f"union by name {kind}", (Construct("union all by name", key),), _union_by_name, (kind,))
        yield WholeQuery(
            f"union with missing {kind}", (Construct("union all by name with missing", key),), _union_with_missing, (kind,)
        )
    for kind in MAPS:
        yield WholeQuery(f"union {kind}", (Construct("union all", (class_of(kind),)),), _set, (kind, "union"))


def _set(t: Any, kind: str, method: str) -> Any:
    left, right = t.select(f"a_{kind}", "g").filter("id < 250"), t.select(f"b_{kind}", "g").filter("id > 100")
    return getattr(left, method)(right)


def _union_by_name(t: Any, kind: str) -> Any:
    return t.select(f"a_{kind}", "g").unionByName(t.select("g", F.col(f"b_{kind}").alias(f"a_{kind}")))


def _union_with_missing(t: Any, kind: str) -> Any:
    return t.select(f"a_{kind}", "g").unionByName(t.select("o", "g"), allowMissingColumns=True)


def _orders() -> Iterator[WholeQuery]:
    for kind in (*ATOMS, *NESTED):
        for method, told in DIRECTIONS.items():
            order = Construct("sort", (class_of(kind), told))
            yield WholeQuery(f"in order: {kind} {told}", (order,), _sorted, (kind, method))
            if told in ("asc nulls first", "desc nulls last"):
                limit = (Construct("limit", ("of a sort",)),) if kind in ("int", "string") else ()
                yield WholeQuery(f"in order: {kind} {told}, first ten", (order, *limit), _first, (kind, method))


def _sorted(t: Any, kind: str, method: str) -> Any:
    return t.select(f"a_{kind}", "id").orderBy(getattr(F.col(f"a_{kind}"), method)(), "id")


def _first(t: Any, kind: str, method: str) -> Any:
    return _sorted(t, kind, method).limit(10)


def _files() -> Iterator[WholeQuery]:
    for kind in (*ATOMS, *NESTED, *MAPS):
        key = (class_of(kind),)
        yield WholeQuery(
            f"write and read {kind}", (Construct("write parquet", key), Construct("read parquet", key)), _written, (kind,)
        )
    yield WholeQuery("read what lies deeper", (Construct("read parquet with", ("recursivefilelookup",)),), _read_deeper)
    for kind in ["boolean", "tinyint", "smallint", "int", "bigint", "string", "date", "dec10_2", "double", "timestamp"]:
        yield WholeQuery(
            f"write by partition {kind}", (Construct("write parquet by partition", (class_of(kind),)),), _partitioned, (kind,)
        )
    for kind in ("int", "string", "double"):
        yield WholeQuery(f"createDataFrame {kind}", (Construct("createDataFrame", (kind,)),), _created)
    for kind in (*ATOMS, *NESTED, *MAPS):
        yield WholeQuery(
            f"createDataFrame of Arrow {kind}", (Construct("createDataFrame", (class_of(kind),)),), _created_of_arrow, (kind,)
        )


def _written(t: Any, kind: str) -> Any:
    folder = tempfile.mkdtemp(prefix="caudal-compare-")
    t.select("id", f"a_{kind}", f"b_{kind}").write.mode("overwrite").parquet(folder)
    return t.sparkSession.read.parquet(folder)


def _read_deeper(t: Any) -> Any:
    folder = tempfile.mkdtemp(prefix="caudal-compare-")
    for place in range(3):
        t.select("id", "a_string").filter(f"id % 3 = {place}").write.parquet(f"{folder}/part={place}/deeper")
    return t.sparkSession.read.option("recursiveFileLookup", "true").schema("id int, a_string string").parquet(folder)


def _partitioned(t: Any, kind: str) -> Any:
    folder = tempfile.mkdtemp(prefix="caudal-compare-")
    frame = t.select("id", "a_string", F.col(f"b_{kind}").alias("k"))
    frame.write.mode("overwrite").partitionBy("k").parquet(folder)
    return t.sparkSession.read.schema(frame.schema).parquet(folder)


def _created_of_arrow(t: Any, kind: str) -> Any:
    return t.sparkSession.createDataFrame(t.select("id", f"a_{kind}").toArrow())


def _created(t: Any) -> Any:
    return t.sparkSession.createDataFrame([(1, "a", 2.5), (None, None, None)], "a int, b string, c double")


def _python() -> Iterator[WholeQuery]:
    for kind in (*ATOMS, *NESTED, *MAPS):
        key = class_of(kind)
        for name, function in {"mapInArrow": _in_arrow, "mapInPandas": _in_pandas, "applyInPandas": _by_group}.items():
            yield WholeQuery(f"{name} {kind}", (Construct(name, (key,)), Construct(name, (f"-> {key}",))), function, (kind,))
        yield WholeQuery(f"udf {kind}", (Construct("udf", (key, f"-> {key}")),), _udf, (kind,))
        yield WholeQuery(f"pandas_udf {kind}", (Construct("pandas_udf", (key, f"-> {key}")),), _pandas_udf, (kind,))


def _in_range(t: Any, kind: str) -> Any:
    """Return rows whose times Python and pandas have values for."""
    column = F.col(f"a_{kind}")
    if kind in ("timestamp", "timestamp_ntz"):
        return t.filter(_is_near(column))
    if kind in ("struct", "plain"):
        return t.filter(_is_near(column["t"]))
    if kind in ("a_timestamp", "a_struct", "a_plain"):
        return t.filter(F.forall(column, lambda value: _is_near(value if kind == "a_timestamp" else value["t"])))
    return t


def _is_near(time: Any) -> Any:
    return F.year(time).between(1700, 2200) | time.isNull()


def _in_arrow(t: Any, kind: str) -> Any:
    frame = t.select("id", f"a_{kind}")
    return frame.mapInArrow(_same, frame.schema)


def _in_pandas(t: Any, kind: str) -> Any:
    frame = _in_range(t, kind).select("id", f"a_{kind}")
    return frame.mapInPandas(_same, frame.schema)


def _by_group(t: Any, kind: str) -> Any:
    frame = _in_range(t, kind).select("g", "id", f"a_{kind}")
    return frame.groupBy("g").applyInPandas(_itself, frame.schema)


def _udf(t: Any, kind: str) -> Any:
    return _in_range(t, kind).select("id", F.udf(_itself, t.schema[f"a_{kind}"].dataType)(f"a_{kind}").alias("r"))


def _pandas_udf(t: Any, kind: str) -> Any:
    from pyspark.sql.pandas.functions import PandasUDFType, pandas_udf

    return _in_range(t, kind).select(
        "id", pandas_udf(_itself, t.schema[f"a_{kind}"].dataType, PandasUDFType.SCALAR)(f"a_{kind}").alias("r")
    )


def _same(batches: Any) -> Any:
    yield from batches


def _itself(value: Any) -> Any:
    return value


def _generators() -> Iterator[WholeQuery]:
    for kind in [each for each in NESTED if each.startswith("a_")] + MAPS:
        for function in ("explode", "explode_outer", "posexplode", "posexplode_outer"):
            yield WholeQuery(f"{function} {kind}", (Construct(function, (class_of(kind),)),), _generated, (function, f"a_{kind}"))
    for function in ("inline", "inline_outer"):
        yield WholeQuery(function, (Construct(function, ("array<struct>",)),), _generated, (function, "a_a_struct"))


def _generated(t: Any, function: str, column: str) -> Any:
    return t.select("id", getattr(F, function)(column))


def _others() -> Iterator[WholeQuery]:
    for kind in (*ATOMS, *NESTED):
        yield WholeQuery(f"dropna {kind}", (Construct("dropna", (class_of(kind),)),), _without_nulls, (kind,))
    for kind in ("int", "bigint", "double", "float", "dec10_2", "smallint", "tinyint", "string", "date", "boolean", "timestamp"):
        for value, told in ((0, "long"), (1.5, "double"), ("x", "string"), (True, "boolean")):
            yield WholeQuery(f"fillna {kind} with {told}", (Construct("fillna", (class_of(kind), told)),), _filled, (kind, value))
    yield WholeQuery("range", (Construct("range"),), _range)
    yield WholeQuery("unpivot", (Construct("unpivot", ("int",)), Construct("unpivot", ("bigint",))), _unpivoted)
    for kind in ("timestamp", "timestamp_ntz"):
        for lengths in (("1 hour",), ("15 minutes",), ("1 day",), ("10 seconds",), ("3600 seconds",), ("30 minutes",), ("1 week",), ("7 days",), ("900 seconds",),
                        ("1 hour", "15 minutes"), ("1 day", "6 hours"), ("10 minutes", "5 minutes"), ("1 hour", "1 hour", "15 minutes"), ("1 day", "1 day", "5 hours")):  # fmt: skip
            window = Construct("window", (TYPES[kind][0], *["duration"] * len(lengths)))
            yield WholeQuery(f"window of {', '.join(lengths)} by {kind}", (window,), _windows, (kind, *lengths))
    yield WholeQuery("with columns", (Construct("withColumn"),), _with_columns)


def _without_nulls(t: Any, kind: str) -> Any:
    return t.select("id", f"a_{kind}").dropna()


def _filled(t: Any, kind: str, value: Any) -> Any:
    return t.select("id", f"a_{kind}").fillna(value)


def _range(t: Any) -> Any:
    return t.sparkSession.range(5, 30, 3)


def _unpivoted(t: Any) -> Any:
    return t.select("id", "a_int", "a_bigint").unpivot("id", ["a_int", "a_bigint"], "name", "value")


def _windows(t: Any, kind: str, *lengths: str) -> Any:
    rows = t.filter(F.year(f"a_{kind}").between(1900, 2200))
    return rows.groupBy(F.window(f"a_{kind}", *lengths).alias("w")).agg(F.count("*"), F.sum("id"))


def _with_columns(t: Any) -> Any:
    return t.select("id", "g").withColumn("g", F.col("id")).withColumn("x", F.lit("y"))
