"""Census records: whether a person's yearly income is above 50,000 USD, told alike well for women and men."""

from __future__ import annotations

from pyspark.sql import DataFrame, functions as F
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import caudal as cd
from caudal import expect as ex

RECORDS = cd.schema(
    age=cd.column("long", unit="years", nullable=False),
    workclass=cd.column("string"),
    sampling_weight=cd.column("double", raw="fnlwgt"),
    education=cd.column("string"),
    education_years=cd.column("long", raw="education-num", unit="years"),
    marital_status=cd.column("string", raw="marital-status"),
    occupation=cd.column("string"),
    relationship=cd.column("string"),
    race=cd.column("string", nullable=False),
    sex=cd.column("string", nullable=False),
    capital_gain_usd=cd.column("double", raw="capital-gain", unit="USD"),
    capital_loss_usd=cd.column("double", raw="capital-loss", unit="USD"),
    hours_per_week=cd.column("long", raw="hours-per-week", unit="hours"),
    native_country=cd.column("string", raw="native-country"),
    income=cd.column("string", raw="income-per-year"),
)

product = cd.Product("income", owner="census@example.org", description="Whether a person's yearly income is above 50,000 USD.")

product.source("records", cd.files("adult*.csv", null="?"), schema=RECORDS)


@product.table(
    expect=[
        ex.unique("person_id").quarantine(max_share=0.05),  # the same record twice; another in one file of a thousand
        ex.between("age", 0, 120).quarantine(max_share=0.01),
        ex.between("hours_per_week", 1, 168).quarantine(max_share=0.01),
        ex.one_of("income", ["<=50K", ">50K"]).quarantine(max_share=0.01),
        ex.not_null("occupation").warn(),
    ]
)
def people(records: DataFrame) -> DataFrame:
    """One row per person, key person_id: the hash of all that the record says but the income, since the census gives no number."""
    known = [F.coalesce(F.col(name).cast("string"), F.lit("")) for name in RECORDS.names if name != "income"]
    # The official test file ends each label with a full stop.
    return records.select("*", F.sha1(F.concat_ws("|", *known)).alias("person_id")).withColumn(
        "income", F.rtrim("income", F.lit("."))
    )


@product.features(entity="person_id", labels=["income"], keep=["sampling_weight"])
def person(people: DataFrame) -> DataFrame:
    """What the census knows of a person; the sampling weight says how many people a record stands for, and is no input."""
    return people.select(
        "person_id", "age", "workclass", "education", "education_years", "marital_status", "occupation", "relationship", "race", "sex",
        "capital_gain_usd", "capital_loss_usd", "hours_per_week", "native_country", "sampling_weight", "income",
    )  # fmt: skip


LOGISTIC, BOOSTING = LogisticRegression(max_iter=1000), HistGradientBoostingClassifier()

earns_more = product.model(
    "earns_more",
    features=person,
    label="income",
    task="classification",
    metric="error_rate",
    candidates={"logistic": LOGISTIC, "boosting": BOOSTING},
    split=cd.hashed(0.2, folds=5),
    gates=[cd.beats_baseline(margin=0.3), cd.beats_champion(tolerance=0.02)],
    description="Whether a person's yearly income is above 50,000 USD.",
)
product.predict(earns_more)
product.serve(earns_more)
