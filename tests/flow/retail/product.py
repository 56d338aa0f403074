"""A month of a shop's invoices: a product with customers in it, small enough to be run by a test."""

from __future__ import annotations

from pyspark.sql import DataFrame, functions as F
from sklearn.linear_model import Ridge

import caudal as cd
from caudal import expect as ex

INVOICES = cd.schema(
    invoice=cd.column("string", raw="InvoiceNo", nullable=False),
    stock_code=cd.column("string", raw="StockCode"),
    what=cd.column("string", raw="Description", description="What was bought, as the shop calls it."),
    quantity=cd.column("long", raw="Quantity"),
    at=cd.column("timestamp", raw="InvoiceDate", nullable=False),
    price_gbp=cd.column("double", raw="UnitPrice", unit="GBP"),
    customer_id=cd.column("double", raw="CustomerID", description="The shop's number of the customer."),
    country=cd.column("string", raw="Country"),
)

product = cd.Product("retail", tz="Europe/London", owner="shop@example.org", description="Invoices of a shop, and who buys again.")
product.source(
    "invoices",
    cd.files("2010-12-*.csv"),
    schema=INVOICES,
    event_time="at",
    partition="day",
    description="One row per line of an invoice.",
)


@product.table(
    event_time="at",
    partition="day",
    expect=[ex.not_null("customer_id").quarantine(max_share=0.9), ex.positive("price_gbp").quarantine(), ex.row_count(1).warn()],
)
def sales(invoices: DataFrame) -> DataFrame:
    """One row per line that a known customer paid for."""
    return invoices.select(
        "invoice", "stock_code", "quantity", "at", "price_gbp", F.col("customer_id").cast("long").alias("customer_id"), "country",
        (F.col("quantity") * F.col("price_gbp")).alias("amount_gbp"), "_file",
    )  # fmt: skip


@product.table(event_time="window_start", partition="day")
def customers_day(sales: DataFrame) -> DataFrame:
    """What each customer spent on each day."""
    return cd.tumble(sales, "1 day", by=["customer_id"]).agg(lines="count", amount_gbp="sum")


@product.table(event_time="window_start", partition="day")
def sales_day(sales: DataFrame) -> DataFrame:
    """What was sold on each day, by country."""
    return cd.tumble(sales, "1 day", by=["country"]).agg(lines="count", amount_gbp="sum")


@product.features(entity="customer_id", as_of="window_start", labels=["amount_gbp"], partition="day")
def habits(customers_day: DataFrame) -> DataFrame:
    """What is known of a customer's spending when a day begins."""
    return cd.calendar(cd.lag(customers_day, "amount_gbp", [1], by=["customer_id"]), "window_start", ["weekday"]).select(
        "customer_id", "window_start", "amount_gbp", "amount_gbp_lag_1", "window_start_weekday"
    )


spending = product.model(
    "spending",
    features=habits,
    label="amount_gbp",
    horizon="1 day",
    candidates={"ridge": Ridge()},
    split=cd.temporal(test="1 day", folds=1),
    metric="mae",
    gates=[],
    unit="GBP",
    description="What a customer will spend on a day.",
)
product.predict(spending)
product.subject("customer_id")
product.about(customers_day, lines="Lines of invoices", amount_gbp="What the customer paid for [GBP]")
product.retain(versions="30 days", quarantine="30 days", pages="30 days")
product.retain(sales_day, days="30 days")
