"""Online views follow ``caudal stream`` of topics of rows, so that a server finds what the newest messages make of a feature; by a real broker."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.flow.test_event_streams import Streaming, caudal
from tests.flow.test_events import Topic

from caudal.ledger.records import runs, steps
from caudal.messaging.broker import Broker
from caudal.serve import create_app
from caudal.tables.home import Home

pytest.importorskip("confluent_kafka")
pytestmark = pytest.mark.timeout(600)

SHOP = """\
import caudal as cd
from pyspark.sql import DataFrame
from sklearn.linear_model import Ridge

product = cd.Product("shop", tz="UTC")
ORDERS = cd.schema(id=cd.column("long", nullable=False), at="timestamp_utc", item="string", amount="double")
product.source("orders", cd.events("looked_up", schema=ORDERS), event_time="at", partition="day")


@product.features(entity="id", as_of="at", labels=["amount"], partition="day")
def order_start(orders: DataFrame) -> DataFrame:
    past = cd.past_mean(orders, "amount", by="item", order="at", window="30 days", name="item_mean")
    return cd.calendar(past, "at", ["hour"]).select("id", "at", "amount", "item", "item_mean", "at_hour")


amount = product.model(
    "amount", features=order_start, label="amount", horizon="0 seconds", candidates={"ridge": Ridge()}, split=cd.temporal(test="2 days", folds=2), metric="mae"
)
product.serve(amount, lookup=True)
"""
FIRST = dt.datetime(2024, 3, 1)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), heap="256m") as running:
        yield running


def order(number: int, amount: float, item: str = "tea") -> dict[str, object]:
    at = FIRST + dt.timedelta(hours=6 * number)
    return {"id": number, "at": f"{at.isoformat()}Z", "item": item, "amount": amount}


def test_a_server_finds_what_the_newest_messages_make_of_a_feature(tmp_path: Path, broker: Broker) -> None:
    topic = Topic(broker, "looked_up")
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "product.py").write_text(SHOP)
    amounts = [10.0 + number % 7 for number in range(40)]
    topic.send(*(order(number, amount) for number, amount in enumerate(amounts)))
    caudal(broker, "run", folder, "--home", folder / "home")
    home = Home(folder / "home")
    client = create_app(home.path, home.url).test_client()
    asked = {"item": "tea", "at": (FIRST + dt.timedelta(days=20)).isoformat()}

    def found() -> Any:
        answer = client.post("/api/v1/shop/amount/predict", json=asked).json
        return answer["looked_up"]["values"].get("item_mean"), answer["looked_up"]["data_until"]

    assert found()[0] == pytest.approx(sum(amounts) / len(amounts))
    streaming = Streaming(folder, broker)
    for number in range(40, 44):  # each in a micro-batch of its own
        amounts.append(1000.0 * number)
        topic.send(order(number, amounts[-1]))
        until = time.monotonic() + 120
        while found()[0] != pytest.approx(sum(amounts) / len(amounts)):
            assert streaming.process.poll() is None, streaming.process.communicate()
            assert time.monotonic() < until, found()
            time.sleep(0.1)
        assert found()[1].startswith((FIRST + dt.timedelta(hours=6 * number)).isoformat())
    streaming.end()
    ledger = home.ledger()
    (run,) = ledger.find(runs, command="stream")
    views = ledger.find(steps, run_id=run["run_id"], step="lookup:amount")
    assert views
    assert {row["state"] for row in views} == {"succeeded"}
