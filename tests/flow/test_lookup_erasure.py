"""A person leaves the online views of served models: by the run that an erasure does, and by the erasure itself where no run makes a view anew."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests import here

from caudal.tables.online import OnlineView, view_file

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
    view = OnlineView(view_file(home / "online" / "shop", "amount"))
    return {str(number) for number in range(100, 112) if view.rows_with(lambda key, text, number=number: text == str(number))}  # type: ignore[misc]


def test_an_erased_customer_is_in_no_view(shop: tuple[Path, Path]) -> None:
    product, home = shop
    assert CUSTOMER in customers(home)
    assert len(customers(home)) == 12
    asked = ("erase", product, "--subject", f"customer_id={CUSTOMER}", "--home", home, "--data", home.parent / "data")
    plan = caudal(*asked)
    assert plan["rows"]["view"] > 0
    assert ("view", "amount") in {(place["kind"], place["name"]) for place in plan["places"]}
    (home.parent / "data" / "orders.csv").unlink()  # the origin would deliver the customer again
    proof = caudal(*asked, "--yes")
    assert proof["done"]
    assert "view" not in proof["after"]["rows"] if "after" in proof else True
    assert len(customers(home)) == 11
    assert CUSTOMER not in customers(home)
