"""What is asked of a served model comes back as a table of its product, once, and a person leaves it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests import here

from caudal.client.opened import open as open_home
from caudal.messaging.request_files import all_files
from caudal.serve import create_app

pytestmark = pytest.mark.slow
CUSTOMER = "107"
PRODUCT = '''
"""Orders of customers, and what is asked about them."""

import caudal as cd
from caudal import expect as ex
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
product.source("requests", cd.requests(amount, keep="90 days"), schema=cd.schema(usual=cd.column("double"), at_weekday=cd.column("long")))


@product.table(event_time="requested_at", partition="day", expect=[ex.between("prediction", 0, 1000)])
def asked(requests):
    """What was asked, and what was predicted."""
    return requests.select("request_id", "row", "requested_at", "usual", "at_weekday", "prediction")


product.monitor(asked, columns="usual", window="1 day", reference="3 days", measures="superiority", thresholds={"superiority": 0.3}, patience=1)
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
    run(tmp_path / "shop", tmp_path / "home")
    return tmp_path / "shop", tmp_path / "home"


def run(product: Path, home: Path) -> Any:
    return caudal("run", product, "--data", home.parent / "data", "--home", home)


def asked(home: Path) -> list[dict[str, Any]]:
    """Return the rows of the source of requests."""
    rows: list[dict[str, Any]] = open_home(home)["shop"]["requests"].to_arrow().to_pylist()
    return sorted(rows, key=lambda row: row["requested_at"])


def test_what_was_asked_is_a_table_and_a_person_leaves_it(shop: tuple[Path, Path]) -> None:
    product, home = shop
    assert asked(home) == [], "nobody has asked yet, and the run has made empty tables"
    app = create_app(home, f"sqlite:///{home / 'ledger.db'}")
    client, requests = app.test_client(), app.extensions["request log"]
    app.extensions["caudal"].refresh()
    requests.learn()
    now = [time.time() - 5 * 86400]
    requests._clock = lambda: now[0]

    def ask(customer: int, **more: object) -> Any:
        now[0] += 60
        answer = client.post("/api/v1/shop/amount/predict", json={"customer_id": customer, "at": "2024-03-28T12:00", **more})
        assert answer.status_code == 200, answer.json
        return answer.json

    answers = [ask(100 + number % 12) for number in range(24)]
    requests.flush()
    assert len(all_files(home / "requests" / "shop" / "requests")) == 1, "its server goes on writing to it"
    run(product, home)
    rows = asked(home)
    assert [row["prediction"] for row in rows] == [answer["prediction"] for answer in answers]
    assert [row["customer_id"] for row in rows] == [100 + number % 12 for number in range(24)]
    assert [row["usual"] for row in rows] == [answer["looked_up"]["values"]["usual"] for answer in answers]
    assert {tuple(row["looked_up"]) for row in rows} == {("at_weekday", "usual")}
    assert {str(row["at"]) for row in rows} == {"2024-03-28 12:00:00"}

    for _ in range(3):  # each day's callers give greater values than those of the days before
        now[0] += 86400
        answers += [ask(100 + number % 12, usual=20.0 + number % 7) for number in range(24)]
        requests.flush()
    run(product, home)
    run(product, home)
    rows = asked(home)
    assert [row["prediction"] for row in rows] == [answer["prediction"] for answer in answers], (
        "each once, however often a run looks"
    )
    assert len({row["request_id"] for row in rows}) == 96
    assert {tuple(row["looked_up"]) for row in rows[24:]} == {("at_weekday",)}
    (monitor,) = caudal("monitor", "shop", "--home", home)["monitors"]
    states = {figure["state"] for figure in monitor["figures"] if figure["column"] == "usual"}
    assert "alarm" in states, "what is asked has drifted"

    ask(int(CUSTOMER))
    ask(101)
    requests.flush()  # not landed, and not finished
    erase = ("erase", product, "--subject", f"customer_id={CUSTOMER}", "--home", home, "--data", home.parent / "data")
    plan = caudal(*erase)
    assert plan["rows"]["requests"] == 1
    assert ("raw", "requests") in {(place["kind"], place["name"]) for place in plan["places"]}
    assert caudal(*erase, "--yes")["done"]
    rows = asked(home)
    assert len(rows) == 96 - 8 + 1
    assert int(CUSTOMER) not in {row["customer_id"] for row in rows}
    ask(102)
    requests.finish()
    run(product, home)
    assert len(asked(home)) == 90, "the server goes on after its file was taken"

    retain = ("retain", product, "--home", home)
    assert not [line for line in caudal(*retain)["going"] if line["kind"] == "requests"]
    text = (product / "product.py").read_text()
    (product / "product.py").write_text(text.replace('keep="90 days"', 'keep="1 second"'))
    time.sleep(1.1)
    assert {line["name"] for line in caudal(*retain, "--yes")["going"]} == {"logged requests", "landed requests"}
    run(product, home)
    assert asked(home) == []
