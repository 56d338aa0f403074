"""A version whose gate asks for a trial: a run puts it on trial, servers show what it does, and a later run promotes it without other news."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.flow.commands import run_here

from caudal.registry import history
from caudal.serve import create_app
from caudal.tables.home import Home

pytestmark = pytest.mark.slow
PRODUCT = """
from sklearn.linear_model import Ridge

import caudal as cd

product = cd.Product("shop")
product.source("sales", cd.files("sales*.csv"), schema=cd.schema(id="long", at="timestamp", amount="double", minutes="double"), event_time="at", partition="day")


@product.features(entity="id", as_of="at", labels=["minutes"], partition="day")
def visits(sales):
    return sales


product.model(
    "stay",
    features=visits,
    label="minutes",
    candidates={"ridge": Ridge(alpha=ALPHA)},
    split=cd.temporal(test="5 days", folds=1),
    gates=[cd.trial(min_rows=20, max_difference=5.0)],
)
"""


def test_a_version_is_tried_and_then_promoted_by_a_run_that_has_no_other_news(tmp_path: Path, spark: object) -> None:
    product, data, home = tmp_path / "shop", tmp_path / "data", Home(tmp_path / "home")
    product.mkdir()
    data.mkdir()
    file = product / "product.py"
    file.write_text(PRODUCT.replace("ALPHA", "1.0"))
    lines = [
        f"{number},2024-03-{1 + number % 28:02d} {number % 24:02d}:00:00,{number % 17}.5,{5 + number % 17}" for number in range(300)
    ]
    (data / "sales.csv").write_text("\n".join(["id,at,amount,minutes", *lines]) + "\n")

    def promotion() -> str:
        document = run_here(product, home.path, data)
        (step,) = [step for step in document["steps"] if step["step"] == "promote:stay"] or [{}]
        return f"{document['state']}: {step}"

    def states() -> list[tuple[int, str]]:
        with closing(home.ledger()) as ledger:
            return [(row["version"], row["decision"]) for row in history(ledger, "shop", "stay")]

    promotion()
    assert states() == [(1, "promoted")], "nothing is in production beside which it could be tried"
    assert promotion().startswith("up to date"), "nothing is new"
    file.write_text(PRODUCT.replace("ALPHA", "2.0"))
    promotion()
    assert states() == [(1, "promoted"), (2, "shadow")]
    assert "0 of 20 rows seen" in promotion(), "a run during a trial looks at it, though nothing is new"

    app = create_app(home.path, home.url, refresh_s=0.0)
    client, champions = app.test_client(), app.extensions["caudal"]
    for number in range(25):
        answer = client.post("/api/v1/shop/stay/predict", json={"amount": number / 2})
        assert (answer.status_code, answer.json["version"]) == (200, 1)
    end = time.monotonic() + 60
    while sum(tally.rows for key, tally in champions.trials.log.since_start().items() if key.role == "shadow") < 25:
        assert time.monotonic() < end
        time.sleep(0.05)
    app.extensions["minute log"].finish()
    assert promotion().startswith("succeeded")
    assert states() == [(1, "promoted"), (2, "shadow"), (2, "promoted")]
    assert client.post("/api/v1/shop/stay/predict", json={"amount": 1.0}).json["version"] == 2
    assert promotion().startswith("up to date"), "the trial is over"
