"""An audit from its declaration to the ledger, the page, the command; gates that refuse; mitigated candidates stored, loaded and served."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests import zygote

PRODUCT = '''
from sklearn.linear_model import LogisticRegression

import caudal as cd

product = cd.Product("loans")
product.source("requests_raw", cd.files("requests.csv"), schema=cd.schema(
    person="long", income="double", debts="double", sex="string", region="string", repaid="string"))


@product.features(entity="person", labels=["repaid"], keep=["region"])
def requests(requests_raw):
    """One row per request."""
    return requests_raw.select("person", "income", "debts", "sex", "region", "repaid")


def model(name, gates, **candidates):
    return product.model(name, features=requests, label="repaid", task="classification", metric="accuracy", candidates=candidates,
                         split=cd.hashed(0.3, folds=3), gates=gates)


fair = [cd.fair("demographic_parity_difference", by="sex", at_most=0.1)]
lend = model("lend", fair, plain=LogisticRegression())
lend_fairly = model(
    "lend_fairly", fair, thresholds=cd.group_thresholds(LogisticRegression(), by="sex"),
    reweighed=cd.reweigh(LogisticRegression(), by=["sex", "region"]))
for each in (lend, lend_fairly):
    product.audit(each, by=["sex", "region"], reference={"sex": "m"})
product.predict(lend_fairly)
product.serve(lend_fairly)
'''


def people(rows: int = 3000, seed: int = 5) -> pd.DataFrame:
    """Return requests: women of the same income repay as often as men, and have less income; one region has 12 rows."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], rows)
    income = rng.normal(np.where(sex == "m", 52.0, 44.0), 9.0)
    debts = rng.gamma(2.0, 4.0, rows)
    region = rng.choice(["north", "south"], rows).astype(object)
    region[:12], region[12:400:6] = "island", None
    repaid = np.where(income - debts + rng.normal(0, 5, rows) > 40, "yes", "no")
    return pd.DataFrame(
        {"person": range(rows), "income": income.round(2), "debts": debts.round(2), "sex": sex, "region": region, "repaid": repaid}
    )


def caudal(*arguments: str | Path, code: int = 0) -> Any:
    run = zygote.run([sys.executable, "-m", "caudal", *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert run.returncode == code, run.stdout + run.stderr
    return json.loads(run.stdout) if "--json" in arguments else run.stdout + run.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a product, its data, and a home in which it has run once."""
    folder = tmp_path_factory.mktemp("loans")
    (folder / "product").mkdir()
    (folder / "product" / "product.py").write_text(PRODUCT)
    (folder / "data").mkdir()
    people().to_csv(folder / "data" / "requests.csv", index=False)
    document = caudal("run", folder / "product", "--data", folder / "data", "--home", folder / "home", "--json")
    (folder / "run.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def document(place: Path) -> Any:
    return json.loads((place / "run.json").read_text())


def test_the_audit_comes_between_training_and_decision(document: Any) -> None:
    steps = [step["step"] for step in document["steps"]]
    assert steps.index("train:lend") < steps.index("audit:lend") < steps.index("promote:lend")
