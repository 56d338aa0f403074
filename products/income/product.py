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


# An offer goes to whom the model names. Whoever earns that much should be found alike well among women and among men: equal opportunity.
EQUAL_OPPORTUNITY = cd.fair("equal_opportunity_difference", by="sex", at_most=0.05)
GATES = [cd.beats_baseline(margin=0.3), EQUAL_OPPORTUNITY, cd.beats_champion(tolerance=0.02)]
FOLDS = cd.hashed(0.2, folds=5)

most_accurate = product.model(
    "most_accurate",
    features=person,
    label="income",
    task="classification",
    metric="error_rate",
    candidates={"logistic": LogisticRegression(max_iter=1000), "boosting": HistGradientBoostingClassifier()},
    split=FOLDS,
    gates=GATES,
    description="Whether a person earns more than 50,000 USD a year. Its gate refuses it: it finds more of the men who do than of the women.",
)

earns_more = product.model(
    "earns_more",
    features=person,
    label="income",
    task="classification",
    metric="error_rate",
    candidates={
        "thresholds": cd.group_thresholds(HistGradientBoostingClassifier(), by="sex", metric="tpr"),
        "reweighed": cd.reweigh(HistGradientBoostingClassifier(), by="sex"),
    },
    split=FOLDS,
    gates=GATES,
    description="Whether a person earns more than 50,000 USD a year, found alike well among women and men.",
)

product.audit(most_accurate, by=["sex", "race"], reference={"sex": "Male", "race": "White"})
product.audit(earns_more, by=["sex", "race"], reference={"sex": "Male", "race": "White"})
product.predict(earns_more)
product.serve(earns_more, fields={
    "age": {"minimum": 17, "maximum": 90},
    "education_years": {"label": "Years of education", "minimum": 1, "maximum": 16},
    "hours_per_week": {"minimum": 1, "maximum": 99},
    "capital_gain_usd": {"label": "Capital gain", "minimum": 0},
    "capital_loss_usd": {"label": "Capital loss", "minimum": 0},
})  # fmt: skip
