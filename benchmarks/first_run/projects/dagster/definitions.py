"""The sample product as assets of Dagster over DuckDB, with its rules as asset checks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from dagster_duckdb import DuckDBResource
from forecasting import predict, train

MODEL = Path("model.joblib")
LAGS = {
    "visitors_lag_1": ("visitors", 1),
    "visitors_lag_2": ("visitors", 2),
    "visitors_lag_24": ("visitors", 24),
    "celsius_lag_1": ("celsius", 1),
}
LAGGED = ",\n".join(
    f"max({column}) over (partition by shop order by window_start "
    f"range between interval {hours} hour preceding and interval {hours} hour preceding) as {name}"
    for name, (column, hours) in LAGS.items()
)


@dg.asset
def counts_raw(duckdb: DuckDBResource) -> None:
    """The rows of all files."""
    with duckdb.get_connection() as connection:
        connection.execute("""
            create or replace table counts_raw as
            from read_csv('landing/counts_*.csv', header = true,
                columns = {counted_at: 'TIMESTAMP', shop: 'VARCHAR', visitors: 'BIGINT', celsius: 'DOUBLE'})
        """)


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec("has_shop_and_time", asset=counts_raw, blocking=True),
        dg.AssetCheckSpec("few_visitors_out_of_range", asset=counts_raw, blocking=True),
        dg.AssetCheckSpec("sent_once", asset=counts_raw),
        dg.AssetCheckSpec("visitors_not_null", asset=counts_raw),
        dg.AssetCheckSpec("visitors_in_range", asset=counts_raw),
        dg.AssetCheckSpec("celsius_in_range", asset=counts_raw),
    ]
)
def counts_raw_rules(duckdb: DuckDBResource):
    """What the rows must keep; only the first two rules stop what follows."""
    with duckdb.get_connection() as connection:
        row = connection.execute("""
            select
                count(*) filter (shop is null or counted_at is null),
                count(*) filter (visitors not between 0 and 1000),
                count(*) - count(distinct (shop, counted_at)),
                count(*) filter (visitors is null),
                count(*) filter (celsius not between -40 and 50),
                count(*)
            from counts_raw
        """).fetchone()
    without_key, out_of_range, repeated, missing, too_cold_or_hot, rows = row
    yield dg.AssetCheckResult(check_name="has_shop_and_time", passed=without_key == 0)
    yield dg.AssetCheckResult(check_name="few_visitors_out_of_range", passed=out_of_range <= 0.05 * rows)
    for name, broken in {
        "sent_once": repeated, "visitors_not_null": missing, "visitors_in_range": out_of_range, "celsius_in_range": too_cold_or_hot
    }.items():  # fmt: skip
        yield dg.AssetCheckResult(
            check_name=name, passed=broken == 0, severity=dg.AssetCheckSeverity.WARN, metadata={"rows": broken}
        )


@dg.asset(deps=[counts_raw])
def counts(duckdb: DuckDBResource) -> None:
    """One row per count; of a count that was sent twice, the first."""
    with duckdb.get_connection() as connection:
        connection.execute("""
            create or replace table counts as
            from counts_raw where visitors between 0 and 1000
            qualify row_number() over (partition by shop, counted_at) = 1
        """)


@dg.asset(deps=[counts])
def visitors_hour(duckdb: DuckDBResource) -> None:
    """Visitors and mean temperature per shop and hour."""
    with duckdb.get_connection() as connection:
        connection.execute("""
            create or replace table visitors_hour as
            select shop, date_trunc('hour', counted_at) as window_start, window_start + interval 1 hour as window_end,
                sum(visitors)::bigint as visitors, avg(celsius) as celsius
            from counts group by all
        """)


@dg.asset(deps=[visitors_hour])
def next_hour(duckdb: DuckDBResource) -> None:
    """What is known when an hour begins; where an hour is missing, what lay before it is not known."""
    with duckdb.get_connection() as connection:
        connection.execute(f"""
            create or replace table next_hour as
            select shop, window_start, visitors, {LAGGED}, hour(window_start) as hour, isodow(window_start) - 1 as weekday
            from visitors_hour
        """)


@dg.asset(deps=[next_hour])
def candidates(duckdb: DuckDBResource) -> None:
    """The candidates' errors; the best one is stored."""
    with duckdb.get_connection() as connection:
        connection.register("errors", train(connection.execute("from next_hour").df(), MODEL))
        connection.execute("create or replace table candidates as from errors")


@dg.asset(deps=[next_hour, candidates])
def predictions(duckdb: DuckDBResource) -> None:
    """The champion's prediction for each shop and hour."""
    with duckdb.get_connection() as connection:
        connection.register("found", predict(connection.execute("from next_hour").df(), MODEL))
        connection.execute("create or replace table predictions as from found")


definitions = dg.Definitions(
    assets=[counts_raw, counts, visitors_hour, next_hour, candidates, predictions],
    asset_checks=[counts_raw_rules],
    resources={"duckdb": DuckDBResource(database="shop.duckdb")},
    executor=dg.in_process_executor,  # DuckDB takes one writing process at a time
)
