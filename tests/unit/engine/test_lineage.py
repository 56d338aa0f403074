"""Column lineage by Spark's analysed plan: what each operator tells, and what nothing tells."""

from __future__ import annotations

import pandas as pd
import pytest
from pyspark.sql import Window, functions as F

from caudal.engine.lineage import column_lineage

INPUTS = {"sales": ["day", "shop", "customer", "amount"], "shops": ["shop", "city"]}


@pytest.fixture(scope="module")
def tables(spark):
    """Two inputs, aliased as a run hands them over."""
    return {
        name: spark.range(0).select(*(F.lit(None).cast("string").alias(one) for one in columns)).alias(name)
        for name, columns in INPUTS.items()
    }


def told(frame):
    return column_lineage(frame, INPUTS)


def direct(frame, column):
    """Return ``{table.column: kind}`` of one column, or why it is unknown."""
    said = told(frame)["columns"][column]
    return said.get("unknown") or {f"{one['table']}.{one['column']}": one["kind"] for one in said["from"]}


def deciding(frame):
    return {(f"{one['table']}.{one['column']}", one["how"]) for one in told(frame)["rows"]["indirect"]}


def test_a_projection_renames_and_computes(tables):
    frame = tables["sales"].select("day", F.col("amount").alias("usd"), (F.col("amount") * 2).alias("twice"), F.lit(1).alias("one"))
    assert direct(frame, "usd") == {"sales.amount": "identity"}
    assert direct(frame, "twice") == {"sales.amount": "transformation"}
    assert direct(frame, "one") == {}


def test_a_join_brings_columns_of_both_and_its_condition_decides_on_rows(tables):
    frame = tables["sales"].join(tables["shops"], "shop", "left").where("city is not null")
    assert direct(frame, "city") == {"shops.city": "identity"}
    assert deciding(frame) == {("sales.shop", "join"), ("shops.shop", "join"), ("shops.city", "filter")}


def test_a_join_with_itself_is_told_apart_from_nothing(tables):
    sales = tables["sales"]
    frame = sales.alias("a").join(sales.alias("b"), F.col("a.day") == F.col("b.day")).select(F.col("b.amount").alias("other"))
    assert direct(frame, "other") == {"sales.amount": "identity"}


def test_aggregates_windows_and_conditions(tables):
    sales = tables["sales"]
    grouped = sales.groupBy("shop").agg(F.sum("amount").alias("sum"), F.count("*").alias("rows"))
    assert direct(grouped, "sum") == {"sales.amount": "aggregation"}
    assert direct(grouped, "rows") == {}
    assert deciding(grouped) == {("sales.shop", "group_by")}
    ranked = sales.withColumn("before", F.lag("amount").over(Window.partitionBy("shop").orderBy("day")))
    assert set(direct(ranked, "before")) == {"sales.amount"}
    hows = {(one["column"], one["how"]) for one in told(ranked)["columns"]["before"]["indirect"]}
    assert hows == {("shop", "window"), ("day", "window")}
    chosen = sales.select(
        F.when(F.col("shop") == "x", F.col("amount")).alias("or_null"), F.coalesce("amount", F.lit("0")).alias("or_0")
    )
    assert direct(chosen, "or_null") == {"sales.amount": "identity"}  # it, or nothing
    assert direct(chosen, "or_0") == {"sales.amount": "transformation"}


def test_unions_pivots_and_expansions(tables):
    sales, shops = tables["sales"], tables["shops"]
    union = sales.select("shop").union(shops.select("city")).union(sales.select("customer"))
    assert direct(union, "shop") == {"sales.customer": "identity", "sales.shop": "identity", "shops.city": "identity"}
    rows = sales.unpivot(["day"], ["shop", "customer"], "which", "who")
    assert direct(rows, "who") == {"sales.customer": "identity", "sales.shop": "identity"}
    assert direct(rows, "day") == {"sales.day": "identity"}
    rolled = sales.rollup("shop").agg(F.max("amount").alias("top"))
    assert direct(rolled, "shop") == {"sales.shop": "identity"}
    assert direct(rolled, "top") == {"sales.amount": "aggregation"}
    pivoted = sales.groupBy("day").pivot("shop", ["a"]).agg(F.max("amount"))
    assert "sales.amount" in direct(pivoted, "a")
    kept = sales.select("shop").intersect(shops.select("city"))
    assert direct(kept, "shop") == {"sales.shop": "identity"}
    assert ("shops.city", "filter") in deciding(kept)


def test_structures_keep_their_fields_apart(tables):
    both = F.struct(F.col("day").alias("d"), F.col("amount").alias("a"))
    frame = tables["sales"].select(F.explode(F.array(both, both)).alias("one")).select("one.a", "one.d")
    assert direct(frame, "a") == {"sales.amount": "identity"}
    assert direct(frame, "d") == {"sales.day": "identity"}


def test_queries_with_common_tables_subqueries_and_views(spark, tables):
    for name, frame in tables.items():
        frame.createOrReplaceTempView(name)
    frame = spark.sql(
        """WITH by_shop AS (SELECT shop, sum(amount) AS total FROM sales GROUP BY shop)
        SELECT b.shop, b.total, (SELECT max(city) FROM shops) AS city FROM by_shop b JOIN by_shop c ON b.shop = c.shop
        WHERE EXISTS (SELECT 1 FROM shops WHERE shops.shop = b.shop)"""
    )
    assert direct(frame, "total") == {"sales.amount": "aggregation"}
    assert direct(frame, "city") == {"shops.city": "aggregation"}
    assert ("shops.shop", "filter") in deciding(frame)
    beside = spark.sql("SELECT * FROM sales, LATERAL (SELECT concat(amount, '!') AS loud)")
    assert direct(beside, "loud") == {"sales.amount": "transformation"}


def test_a_scalar_python_function_has_known_inputs_and_is_named(tables):
    shout = F.udf(lambda text: text)
    frame = tables["sales"].select(shout("shop").alias("loud"))
    assert direct(frame, "loud") == {"sales.shop": "transformation"}
    assert told(frame)["columns"]["loud"]["from"][0]["python"]


@pytest.mark.parametrize(
    "hide",
    [
        lambda sales: sales.mapInPandas(lambda parts: parts, "shop string"),
        lambda sales: sales.mapInArrow(lambda parts: parts, "shop string"),
        lambda sales: sales.groupBy("shop").applyInPandas(lambda rows: rows, "shop string"),
        lambda sales: sales.sparkSession.createDataFrame(pd.DataFrame({"shop": ["a"]})),
    ],
    ids=["mapInPandas", "mapInArrow", "applyInPandas", "pandas"],
)
def test_what_a_python_function_hides_is_unknown_and_stays_so(tables, hide):
    frame = hide(tables["sales"]).select(F.upper("shop").alias("shop"))
    said = told(frame)["columns"]["shop"]
    assert said["from"] == []
    assert said["unknown"]


def test_an_alias_of_the_users_is_no_input(spark, tables):
    frame = spark.range(3).select(F.lit("x").alias("shop")).alias("shops")
    assert direct(frame, "shop") == {}
    assert direct(tables["shops"].alias("sales"), "city") == {"shops.city": "identity"}
