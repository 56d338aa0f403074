"""A person leaves the online views of served models: by the run that an erasure does, and by the erasure itself where no run makes a view anew."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests import here

from caudal.serve import create_app
from caudal.tables.view_places.sqlite import open_view, view_file

pytestmark = pytest.mark.slow
CUSTOMER = "107"
PRODUCT = '''
"""Orders of customers."""

import caudal as cd
from sklearn.linear_model import Ridge

product = cd.Product("shop", tz="Europe/Berlin", owner="shop@example.org")
product.source(
    "orders", cd.files("orders*.csv"), event_time="at", partition="day",
    schema=cd.schema(order_id=cd.column("long"), customer_id=cd.column("long"), at=cd.column("timestamp"), amount=cd.column("double")),
)
product.subject("customer_id")


@product.features(entity="order_id", as_of="at", labels=["amount"], keep=["customer_id"], partition="day")
def known(orders):
    """What is known of an order before its amount."""
    past = cd.past_mean(orders, "amount", by=["customer_id"], window="30 days", name="usual")
    return cd.calendar(past, "at", ["weekday"]).select("order_id", "customer_id", "at", "amount", "usual", "at_weekday")


amount = product.model("amount", features=known, label="amount", candidates={"ridge": Ridge()}, split=cd.temporal(test="5 days", folds=1))
product.serve(amount, lookup=True)
'''


def caudal(*arguments: object) -> Any:
    done = here.run(
        [sys.executable, "-m", "caudal", *map(str, arguments), "--json"], env={**os.environ, "CAUDAL_MEMORY": "1g"}, timeout=600
    )
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    return json.loads(done.stdout)


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Path, Path]:
    """Return the product's folder and its home, after a run."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "product.py").write_text(PRODUCT)
    (tmp_path / "data").mkdir()
    lines = [
        f"{number},{100 + number % 12},2024-03-{1 + number % 28:02d} {number % 24:02d}:{number % 60:02d}:00,{10 + number % 7}.5"
        for number in range(400)
    ]
    (tmp_path / "data" / "orders.csv").write_text("\n".join(["order_id,customer_id,at,amount", *lines]) + "\n")
    caudal("run", tmp_path / "shop", "--data", tmp_path / "data", "--home", tmp_path / "home")
    return tmp_path / "shop", tmp_path / "home"


def customers(home: Path) -> set[str]:
    view = open_view(view_file(home / "online" / "shop", "amount"))
    return {str(number) for number in range(100, 112) if view.rows_with(lambda key, text, number=number: text == str(number))}  # type: ignore[misc]


def test_an_erased_customer_is_in_no_view(shop: tuple[Path, Path]) -> None:
    product, home = shop
    assert CUSTOMER in customers(home)
    assert len(customers(home)) == 12
    asked = ("erase", product, "--subject", f"customer_id={CUSTOMER}", "--home", home, "--data", home.parent / "data")
    plan = caudal(*asked)
    assert plan["rows"]["view"] > 0
    assert ("view", "amount") in {(place["kind"], place["name"]) for place in plan["places"]}
    assert caudal(*asked, "--yes")["done"]
    assert CUSTOMER not in customers(home)
    assert len(customers(home)) == 11, "the run of the erasure has made the view anew"


def test_a_view_that_no_run_makes_anew_is_removed(shop: tuple[Path, Path]) -> None:
    product, home = shop
    (home.parent / "data" / "orders.csv").unlink()  # no run succeeds without it
    asked = ("erase", product, "--subject", f"customer_id={CUSTOMER}", "--home", home, "--data", home.parent / "data")
    assert caudal(*asked, "--yes")["done"]
    assert not list((home / "online" / "shop").iterdir())


GIVEN = {
    "def known(orders):": "def known(orders, customers):",
    'past = cd.past_mean(orders, "amount", by=["customer_id"], window="30 days", name="usual")':
        'past = cd.past_mean(orders, "amount", by=["customer_id"], window="30 days", name="usual").join(customers, "customer_id").withColumn("third", F.col("customer_id") % 3)',
    '"usual", "at_weekday")': '"usual", "third", "segment")',
    "lookup=True": 'lookup={("usual", "third"): "customer_id", customers: "customer_id"}, names={"customer_id": {"table": "customers", "key": "customer_id", "name": "segment"}}',
    '@product.features(': """@product.table
def customers(orders):
    return orders.select("customer_id").distinct().withColumn("segment", F.concat(F.lit("segment "), F.col("customer_id") % 2))


@product.features(""",
    "import caudal as cd": "import caudal as cd\nfrom pyspark.sql import functions as F",
}  # fmt: skip


def test_keys_may_be_given_and_another_table_may_be_looked_up_in(shop: tuple[Path, Path]) -> None:
    product, home = shop
    text = PRODUCT
    for old, new in GIVEN.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (product / "product.py").write_text(text)
    caudal("check", product, "--data", home.parent / "data", "--home", home)
    caudal("run", product, "--data", home.parent / "data", "--home", home)
    view = open_view(view_file(home / "online" / "shop", "amount"))
    assert [(group["columns"], group["exact"]) for group in view.described["groups"]] == [
        (["usual"], True), (["third"], False), (["segment"], False),
    ]  # fmt: skip
    body = {"customer_id": 108, "at": "2024-03-28T12:00"}
    client = create_app(home, f"sqlite:///{home / 'ledger.db'}").test_client()
    answer = client.post("/api/v1/shop/amount/predict", json=body).json
    assert {**answer["looked_up"]["values"], "usual": 0} == {"usual": 0, "third": 0, "segment": "segment 0"}
    assert 10 < answer["looked_up"]["values"]["usual"] < 17
    unknown = client.post("/api/v1/shop/amount/predict", json={**body, "customer_id": 7}).json
    assert unknown["looked_up"]["not_found"] == ["usual", "third", "segment"]
    assert 10 < unknown["prediction"] < 18
