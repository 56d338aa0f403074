"""Every construct of a plan is found, with the classes of its arguments."""

from __future__ import annotations

import pytest
from pyspark.sql.connect import functions as F
from pyspark.sql.connect.window import Window
from pyspark.sql.types import StringType

from caudal.engine.sail.constructs import constructs_of_plan


def found(frame):
    client = frame.sparkSession.client
    return {str(each.construct) for each in constructs_of_plan(frame._plan.to_proto(client).root, client)}


def of(frame, input_frame):
    """Return what a frame has beyond its input."""
    return found(frame) - found(input_frame)


def test_a_function_with_the_type_of_its_argument(trips):
    assert of(trips.select(F.weekday("day")), trips) == {"weekday(date)"}


def test_functions_within_functions(trips):
    assert of(trips.select(F.length(F.upper("zone")) + F.col("id")), trips) == {"length(string)", "upper(string)", "+(int, int)"}


def test_a_computed_column_has_its_type_further_up(trips):
    frame = trips.withColumn("month", F.date_trunc("month", "at")).filter(F.year("month") > 2020).select(F.hour("month"))
    assert of(frame, trips) == {"date_trunc('month', timestamp)", "year(timestamp)", ">(int, int)", "hour(timestamp)"}


def test_constants_that_decide_what_is_computed(trips):
    assert of(trips.select(F.date_format("at", "yyyy-MM-dd")), trips) == {"date_format(timestamp, 'yyyy-MM-dd')"}
    assert of(trips.select(F.date_format("at", F.col("zone"))), trips) == {"date_format(timestamp, not constant)"}
    assert of(trips.select(F.col("zone").rlike("^a[0-9]+")), trips) == {"rlike(string, regex)"}
    assert of(trips.select(F.col("zone").rlike(r"\d")), trips) == {"rlike(string, another regex)"}


def test_a_constant_beside_a_decimal(trips):
    assert of(trips.select(F.col("tip") * 2), trips) == {"*(decimal18, literal int)"}
    assert of(trips.select(F.col("tip") * F.col("id")), trips) == {"*(decimal18, int)"}


def test_casts(trips):
    assert of(trips.select(F.col("zone").cast("int"), F.col("fare").try_cast("decimal(10,2)")), trips) == {
        "cast(string, int)",
        "try_cast(double, decimal(10,2))",
    }


def test_lambdas_have_the_types_of_elements(trips):
    assert of(trips.select(F.transform("counts", lambda x: F.abs(x) + 1)), trips) == {
        "transform(array<int>, lambda)",
        "abs(int)",
        "+(int, int)",
    }
    assert of(trips.select(F.aggregate("counts", F.lit(0.5), lambda acc, x: acc * x)), trips) >= {"*(double, int)"}
    nested = trips.select(F.transform(F.array("counts"), lambda inner: F.filter(inner, lambda x: x > 1)))
    assert of(nested, trips) >= {"filter(array<int>, lambda)", ">(int, int)"}
    assert of(trips.select(F.map_filter("by_name", lambda key, value: F.upper(key) == "A")), trips) >= {
        "upper(string)",
        "==(string, string)",
    }


def test_fields_of_structs(trips):
    assert of(trips.select("place.x"), trips) == {"[](struct, string)"}
    assert of(trips.select(F.col("place")["x"] + 1), trips) == {"[](struct, string)", "+(int, int)"}
    assert of(trips.alias("t").select("t.id"), trips) == set()


def test_windows(trips):
    window = Window.partitionBy("zone").orderBy(F.desc("at"))
    assert of(trips.select(F.lag("fare", 3).over(window)), trips) == {
        "partition by(string)", "window order(timestamp, desc nulls last)", "lag over(double, n, running)",
    }  # fmt: skip
    near = window.rowsBetween(-2, 0)
    assert "sum over(double, rows with distance)" in of(trips.select(F.sum("fare").over(near)), trips)
    inside = of(trips.select(F.sum(F.col("id") * 2).over(near)), trips)
    assert "*(int, int)" in inside
    assert "sum(int)" not in inside


def test_groups(trips):
    frame = trips.groupBy(F.upper("zone").alias("z")).agg((F.sum("id") / F.count("*")).alias("mean"), F.max(F.col("fare") + 1))
    assert of(frame, trips) == {
        "upper(string)",
        "group by(string)",
        "sum(int)",
        "count(*)",
        "/(bigint, bigint)",
        "max(double)",
        "+(double, int)",
    }
    assert of(trips.groupBy().count(), trips) == {"group by()", "count(int)"}


def test_joins(trips):
    other = trips.select("id", F.col("fare").alias("price"))
    assert of(trips.join(other, "id", "left"), trips) == {"left outer join using(int)"}
    assert of(trips.join(other, (trips.id == other.id) & (trips.fare < other.price)), trips) == {
        "inner join()",
        "inner join on(int)",
        "==(int, int)",
        "<(double, double)",
        "and(boolean, boolean)",
    }


def test_a_column_of_a_frame_further_below(sail, trips):
    filtered = trips.filter("id > 0")
    other = sail.sql("SELECT 1 AS id")
    assert of(filtered.join(other, trips.id == other.id).select(trips.fare + 1), trips) >= {"+(double, int)", "==(int, int)"}


def test_sets_orders_and_limits(trips):
    ids = trips.select("id")
    assert of(ids.union(ids), trips) == {"union all(int)"}
    assert of(ids.distinct(), trips) == {"distinct(int)"}
    assert of(ids.orderBy(F.desc("id")).limit(3), trips) == {"sort(int, desc nulls last)", "limit(of a sort)"}
    assert of(ids.limit(3), trips) == {"limit(without a sort)"}
    assert "dropDuplicates(of some columns)" in of(trips.dropDuplicates(["id"]), trips)


def test_functions_in_python(trips):
    def same(batches):
        yield from batches

    ids = trips.select("id", "fare")
    assert of(ids.mapInArrow(same, ids.schema), trips) == {
        "mapInArrow(int)",
        "mapInArrow(double)",
        "mapInArrow(-> int)",
        "mapInArrow(-> double)",
    }
    assert of(ids.select(F.udf(lambda x: x, StringType())("id")), trips) == {"udf(int, -> string)"}


@pytest.mark.parametrize(
    ("text", "constructs"),
    [
        ("weekday(day)", {"weekday(date)"}),
        ("fare / id + 1", {"/(double, int)", "+(double, int)"}),
        (
            "NOT zone LIKE 'a%' AND fare IS NOT NULL",
            {"not(boolean)", "like(string, pattern)", "isnotnull(double)", "and(boolean, boolean)"},
        ),
        ("CASE WHEN id > 1 THEN fare ELSE 0.5D END", {"when(boolean, double)", ">(int, int)"}),
        ("id IN (1, 2)", {"in(int)"}),
        ("counts[0]", {"[](array<int>, int)"}),
        ("transform(counts, x -> x * 2)", {"transform(array<int>, lambda)", "*(int, int)"}),
        ("cast(zone AS double)", {"cast(string, double)"}),
        ("try_cast(zone AS double)", {"try_cast(string, double)"}),
        ("sum(fare) OVER (PARTITION BY zone)", {"partition by(string)", "sum over(double, whole)"}),
        ("day + INTERVAL '1' DAY", {"+(date, interval day)"}),
    ],
)
def test_texts_of_sql(trips, text, constructs):
    assert of(trips.selectExpr(f"{text} AS r"), trips) == constructs


@pytest.mark.parametrize(
    "text", ["regexp_replace(zone, '\\\\d', '')", "extract(year FROM day)", "(SELECT 1)", "id IN (SELECT 1)", "x -> x"]
)
def test_what_is_not_understood_is_unknown(trips, text):
    assert any(name.startswith("unknown(") for name in found(trips.selectExpr(f"{text} AS r")))


def test_queries_of_sql(sail, trips):
    query = """
        WITH dear AS (SELECT zone, fare * 2 AS twice, place.x FROM {trips} WHERE fare > 1)
        SELECT d.zone, count(*) AS trips, round(sum(twice), 2) AS usd FROM dear AS d LEFT JOIN {trips} AS t ON d.zone = t.zone
        GROUP BY d.zone HAVING trips > 1 ORDER BY usd DESC
    """
    assert of(sail.sql(query, trips=trips), trips) >= {
        "*(double, int)", ">(double, int)", "count(*)", "sum(double)", "round(double, '2')", "left outer join()", "==(string, string)", "group by(string)",
        ">(bigint, int)", "sort(double, desc nulls last)",
    }  # fmt: skip
    assert of(sail.sql("SELECT id FROM {trips} UNION SELECT id FROM {trips}", trips=trips), trips) == {
        "union all(int)",
        "distinct(int)",
    }


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM elsewhere",
        "SELECT id FROM {trips} WHERE EXISTS (SELECT 1)",
        "SELECT id FROM {trips} LATERAL VIEW explode(counts) AS c",
        "VALUES (1)",
    ],
)
def test_queries_that_cannot_be_told(sail, trips, query):
    assert any(
        name.startswith(("unknown(", "read a table by name"))
        for name in found(sail.sql(query, trips=trips) if "{trips}" in query else sail.sql(query))
    )


def test_where_it_stands(trips):
    client = trips.sparkSession.client
    plan = trips.select(F.col("id") + 1)._plan.to_proto(client).root
    # PySpark notes it only where it is set to.
    plan.project.expressions[0].common.origin.python_origin.call_site = "product.py:12"
    sites = {str(each.construct): each.call_site for each in constructs_of_plan(plan, client)}
    assert sites["+(int, int)"] == "product.py:12"
