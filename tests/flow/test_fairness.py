"""An audit from its declaration to the ledger, the page, the command; gates that refuse; mitigated candidates stored, loaded and served."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests import here

from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import measurements
from caudal.ledger.records import decisions, steps
from caudal.serve import create_app
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

DOC = (Path(__file__).parents[2] / "docs" / "fairness.md").read_text("utf-8")
PRODUCT = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)[0]
COMMANDS = [
    line.removeprefix("caudal ") for block in re.findall(r"```bash\n(.*?)```", DOC, re.DOTALL) for line in block.splitlines()
]


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


def caudal(place: Path, *arguments: str, code: int = 0) -> Any:
    """Run a command in a folder; return its document with ``--json``, else what it prints."""
    run = here.run([sys.executable, "-m", "caudal", *arguments], capture_output=True, text=True, timeout=300, cwd=place)
    assert run.returncode == code, run.stdout + run.stderr
    return json.loads(run.stdout) if "--json" in arguments else run.stdout + run.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the product of docs/fairness.md, its data, and a home in which it has run once."""
    folder = tmp_path_factory.mktemp("fair")
    (folder / "loans").mkdir()
    (folder / "loans" / "product.py").write_text(PRODUCT)
    (folder / "data").mkdir()
    people().to_csv(folder / "data" / "requests.csv", index=False)
    run, *_ = COMMANDS
    assert run == "run loans --data data"
    (folder / "run.txt").write_text(caudal(folder, *run.split()))
    return folder


@pytest.fixture
def ledger(place: Path) -> Iterator[Ledger]:
    opened = Home(place / ".caudal").ledger()
    yield opened
    opened.close()


def test_the_commands_of_the_document_say_what_it_says(place: Path) -> None:
    said = {command: caudal(place, *command.split()) for command in COMMANDS[1:]}
    told = list(said.values())
    assert "Recall (TPR)" in told[0]
    assert "under 100" in told[0]
    fairly = told[1]
    chosen = next(candidate for candidate in fairly["candidates"] if candidate["chosen"])
    assert (fairly["version"], fairly["positive"], chosen["candidate"]) == (1, "yes", "thresholds")
    by_sex, by_region, by_both = chosen["groupings"]
    assert by_sex["between"]["demographic_parity_difference"]["value"] < 0.1
    assert [group["small"] for group in by_region["groups"]] == [True, True, False, False]
    assert {tuple(group["group"].items()) for group in by_both["groups"]} >= {(("sex", "f"), ("region", "(missing)"))}
    assert sum(group["rows"] for group in by_both["groups"]) == chosen["rows"] == sum(group["rows"] for group in by_sex["groups"])
    assert "refused" in told[2]
    assert 'cd.fair("tpr", by="sex", at_most=0.1)' in told[3]


def test_the_audit_comes_between_training_and_decision_and_is_told(place: Path, ledger: Ledger) -> None:
    rows = {row["step"]: row for row in ledger.find(steps, product="loans")}
    order = list(rows)
    assert order.index("train:lend") < order.index("audit:lend") < order.index("promote:lend")
    assert {name: row["decision"] for name in ("lend", "lend_fairly") for row in ledger.find(decisions, model=name)} == {
        "lend": "refused", "lend_fairly": "promoted",
    }  # fmt: skip
    (refused,) = ledger.find(decisions, model="lend")
    assert re.search(
        r"demographic_parity_difference 0\.\d+ \(95%: 0\.\d+ to 0\.\d+\) over 'sex'.*at most 0.1 required", str(refused["reason"])
    )
    told = (place / "run.txt").read_text()
    assert "Fairness of lend_fairly" in told
    assert "6 groups under 100 rows: not compared." in told


def test_the_ledger_holds_counts_and_figures_and_no_row(ledger: Ledger) -> None:
    figures = measurements(ledger, product="loans", subject="lend", subject_kind="model")
    counts = [row for row in figures if row.metric == "audit_counts"]
    assert {row.group_by for row in counts} == {("sex", "region")}
    assert {row.detail["candidate"] for row in counts} == {"baseline", "plain"}
    of_women = measurements(ledger, product="loans", subject="lend", metric="selection_rate", group={"sex": "f"})
    plain = next(row for row in of_women if row.detail["candidate"] == "plain")
    assert plain.version == 1
    assert plain.low is not None
    assert plain.high is not None
    assert plain.low < plain.value < plain.high
    assert plain.detail["interval"] == "95% of 1,000 multinomial resamples of counts"
    difference: Any = plain.detail["difference"]
    assert difference[0] < -0.1
    assert not any("person" in row.group_by for row in figures)


def test_the_page_shows_groups_candidates_and_what_is_too_small(place: Path) -> None:
    (page,) = (place / ".caudal" / "runs" / "loans").glob("*.html")
    text = page.read_text("utf-8")
    assert "Fairness of model lend_fairly" in text
    assert "too few rows" in text
    assert "Equalised odds difference" in text
    assert text.count('class="chart groups"') == 6


def test_a_mitigated_champion_predicts_in_a_batch_and_by_the_api_alike(place: Path) -> None:
    home = Home(place / ".caudal")
    predicted = arrow(delta.read_version(home.table("loans", "lend_fairly_predictions"))).to_pandas().set_index("person")
    assert len(predicted) == 3000
    requests = people().set_index("person").loc[[3, 500, 501, 502]]
    client = create_app(home.path, home.url).test_client()
    for person, row in requests.iterrows():
        asked = {"income": row["income"], "debts": row["debts"], "sex": row["sex"]}
        answer = client.post("/api/v1/loans/lend_fairly/predict", json=asked)
        assert answer.status_code == 200, answer.text
        assert answer.json["prediction"] == predicted.loc[person, "prediction"]


def test_the_guide_asks_what_no_option_says() -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"assistive\nmaybe\nno\nneeding\n")
    command = [sys.executable, "-m", "caudal", "audit", "guide", "--by", "race"]
    run = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=120, check=True)
    os.close(ours)
    os.close(theirs)
    assert "Answer one of yes, no." in run.stdout
    assert 'cd.fair("fnr", by="race", at_most=0.1)' in run.stdout


def test_what_is_asked_wrongly_is_one_sentence(place: Path) -> None:
    assert "has no model 'lond'. Did you mean 'lend'?" in caudal(place, "audit", "loans", "lond", code=8)
    assert "Version 7 of model 'lend' of product 'loans' was not audited" in caudal(
        place, "audit", "loans", "lend", "--version", "7", code=8
    )
    assert "Several models of 'loans' are audited: lend, lend_fairly" in caudal(place, "audit", "loans", code=8)
    assert "a question that no option answers" in caudal(place, "audit", "guide", "--punitive", code=2)


def test_other_metrics_need_no_training_and_other_groups_do(place: Path) -> None:
    product = place / "loans" / "product.py"
    product.write_text(PRODUCT.replace('reference={"sex": "m"}', 'metrics=["tpr"], min_rows=5'))
    document = caudal(place, "run", "loans", "--data", "data", "--only", "train", "--json")
    states = {step["step"]: step["state"] for step in document["steps"]}
    assert (states["train:lend"], states["audit:lend"]) == ("skipped", "succeeded")
    assert document["audits"]["lend"]["small"] == 1  # of m × island
    audit = caudal(place, "audit", "loans", "lend", "--json")
    assert set(audit["candidates"][1]["overall"]) == {"tpr"}
    again = caudal(place, "run", "loans", "--data", "data", "--only", "train", "--json")
    assert {step["step"]: step["state"] for step in again["steps"]}["audit:lend"] == "skipped"
    product.write_text(PRODUCT.replace('by=["sex", "region"]', 'by="sex"').replace("(lend, lend_fairly)", "(lend,)"))
    document = caudal(place, "run", "loans", "--data", "data", "--only", "train", "--json")
    states = {step["step"]: step["state"] for step in document["steps"]}
    assert (states["train:lend"], states["audit:lend"]) == ("succeeded", "succeeded")
    assert document["audits"]["lend"]["version"] == 2
