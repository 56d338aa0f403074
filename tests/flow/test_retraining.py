"""A model that waits for drift: an alarm leads to a training in the same call; its gates promote one version and refuse another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.flow.commands import caudal

from caudal.commands.models import decision_history
from caudal.declarations.settings import Settings

pytestmark = pytest.mark.slow

PRODUCT = """
from sklearn.linear_model import LinearRegression

import caudal as cd

product = cd.Product("shop")
product.source(
    "sales", cd.files("sales_*.csv"), schema=cd.schema(id="long", at="timestamp", amount="double", minutes="double"), event_time="at", partition="day"
)


@product.features(entity="id", as_of="at", labels=["minutes"], partition="day")
def visits(sales):
    return sales


for name, gates in (("stay", ()), ("strict", (cd.limit("mae", 3.0),))):
    model = product.model(
        name,
        features=visits,
        label="minutes",
        candidates={"linear": LinearRegression()},
        split=cd.temporal(test="5 days", folds=2),
        gates=gates,
        retrain="drift",
    )
    product.predict(model)
    product.monitor(model)
"""


def write_visits(file: Path, first: str, count: int, spend: float, spread: float, seed: int) -> None:
    """Write visits of some days; ``spread`` is what an amount does not say of the minutes."""
    random = np.random.default_rng(seed)
    parts = []
    for day in pd.date_range(first, periods=count):
        amount = random.lognormal(spend, 0.5, 200)
        at = day + pd.to_timedelta(random.integers(0, 86_400, 200), unit="s")
        parts.append(pd.DataFrame({"at": at, "amount": amount, "minutes": 5 + 0.3 * amount + random.normal(0, spread, 200)}))
    rows = pd.concat(parts)
    rows.insert(0, "id", np.arange(len(rows)) + seed * 100_000)
    rows.to_csv(file, index=False)


def test_drift_leads_to_a_training_that_its_gates_promote_or_refuse(tmp_path: Path) -> None:
    (tmp_path / "product.py").write_text(PRODUCT)
    home = Settings(home=tmp_path / "home")

    def run(**options: int) -> dict:
        return caudal("run", tmp_path, "--home", tmp_path / "home", **options)  # type: ignore[arg-type]

    write_visits(tmp_path / "sales_1.csv", "2024-01-01", 30, 3.0, 2.0, 1)
    assert {name: model["version"] for name, model in run()["models"].items()} == {"stay": 1, "strict": 1}
    write_visits(tmp_path / "sales_2.csv", "2024-01-31", 10, 3.0, 2.0, 2)
    calm = run()
    why = {step["step"]: step["why"] for step in calm["steps"] if step["state"] == "skipped"}
    assert why["train:strict"] == "no alarm of monitor 'strict' since version 1 was trained"
    assert "follows" not in calm

    write_visits(tmp_path / "sales_3.csv", "2024-02-10", 4, 3.5, 9.0, 3)
    trained = run()
    assert trained["follows"] != trained["run_id"]  # the run before landed the rows and found the change
    assert trained["models"]["stay"]["decision"] == "promoted"
    assert trained["models"]["strict"]["decision"] == "refused"
    assert trained["models"]["strict"]["in_production"] == 1
    assert trained["models"]["stay"]["trained_because"].startswith("mae was ")
    assert trained["predictions"]["stay_predictions"]["model_version"] == 2
    assert run()["state"] == "up to date"  # the refused alarm is answered too

    (_, promoted), (_, refused) = (decision_history(home, name, "shop") for name in ("stay", "strict"))
    assert (promoted["decision"], refused["decision"]) == ("promoted", "refused")
    for decision in (promoted, refused):
        assert "; trained because mae was " in decision["reason"]
        assert " on 2024-02-13, above " in decision["reason"]
        assert "psi of amount" in decision["reason"]
    assert "(alarm of monitor 'strict', with " in refused["reason"]
