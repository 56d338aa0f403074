"""`caudal debt` on a product that has run: the commands of docs/debt.md, growth over time, limits, consumers in the catalog."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests import here

from caudal.debt.finding import Debt
from caudal.debt.scope import DebtScope
from caudal.graph.load import load
from caudal.ledger.measurements import measurements
from caudal.tables.home import Home

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "debt.md").read_text("utf-8")
PRODUCT = '''
import caudal as cd
from caudal import expect as ex

product = cd.Product("shop", owner="shop@example.org")
product.source("orders", cd.files("orders.csv"), description="Orders: order_id, note, and what they cost.",
    schema=cd.schema(order_id="long", amount_usd="double", note="string"))


@product.table(expect=[ex.positive("amount_usd")])
def totals(orders):
    """The amount_usd of each order_id, and its note."""
    return orders.select("order_id", "amount_usd", "note")


@product.table
def largest(totals):
    """The largest amount_usd."""
    return totals.groupBy().agg({"amount_usd": "max"}).withColumnRenamed("max(amount_usd)", "amount_usd")


product.consumer("finance", of=[largest])
'''
MORE = '''

@product.table
def copies(totals):
    """Each order_id again."""
    return totals.select("order_id")
'''


def caudal(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return here.run([sys.executable, "-m", "caudal", *words], cwd=folder, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the product ``shop`` and its home after a run."""
    folder = tmp_path_factory.mktemp("debt")
    (folder / "shop" / ".git").mkdir(parents=True)
    (folder / "shop" / "product.py").write_text(PRODUCT)
    (folder / "shop" / "orders.csv").write_text("order_id,amount_usd,note\n1,2.5,a\n2,3.5,b\n")
    declared_only = json.loads(caudal(folder, "debt", "shop", "--json").stdout)
    assert declared_only["run_id"] is None
    assert not (folder / ".caudal").exists()
    done = caudal(folder, "run", "shop")
    assert done.returncode == 0, done.stderr
    return folder


def kinds(folder: Path, *words: str) -> dict[str, dict[str, object]]:
    document = json.loads(caudal(folder, "debt", "shop", "--json", *words).stdout)
    return {kind["kind"]: kind for kind in document["kinds"]}


def test_debt_that_grows_is_seen_and_stops_ci(place: Path) -> None:
    first = kinds(place)
    assert {name: kind["count"] for name, kind in first.items() if kind["count"]} == {"unused_columns": 2}
    (unused,) = first["unused_columns"]["findings"]
    assert (unused["subject"], unused["names"]) == ("totals", ["order_id", "note"])
    assert unused["where"] == "shop/product.py:10"
    assert first["unused_tables"]["change"] is None
    (place / "shop" / "product.py").write_text(PRODUCT + MORE)
    try:
        grown = caudal(place, "debt", "shop", "--history", "--fail-above", "unused_tables=0", "--fail-above", "glue=0")
    finally:
        (place / "shop" / "product.py").write_text(PRODUCT)
    assert grown.returncode == 1
    assert "Nothing reads the table 'copies'" in grown.stdout
    assert re.search(r"unused_tables +1 +▲ 1 more", grown.stdout)
    assert re.search(r"UTC +unused_columns 2", grown.stdout)
    assert "✗ unused_tables is 1, more than 0" in grown.stdout
    assert "glue is" not in grown.stdout
    assert kinds(place)["unused_tables"]["change"] == -1
    with contextlib.closing(Home(place / ".caudal", None).ledger()) as ledger:
        kept = measurements(ledger, product="shop", subject_kind="product", metric="debt_unused_tables")
        lines = measurements(ledger, product="shop", metric="debt_glue_lines", group={"kind": "table"})
    assert [measured.value for measured in kept] == [0.0, 1.0, 0.0]
    assert {measured.value for measured in lines} == {4.0, 6.0}


def test_the_commands_of_the_guide_work(place: Path) -> None:
    commands = [line.split("#")[0] for line in GUIDE.splitlines() if line.startswith("    caudal debt")]
    assert len(commands) == 4
    for command in commands:
        done = caudal(place, *shlex.split(command)[1:])
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


def test_the_guide_names_every_kind(place: Path) -> None:
    assert list(kinds(place)) == re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)


def test_the_kind_of_the_guide_is_one(place: Path) -> None:
    namespace: dict[str, object] = {}
    exec(GUIDE.split("```python")[-1].split("```")[0], namespace)
    found = namespace["DEBT"].find_debt(DebtScope(load(place / "shop")))  # type: ignore[attr-defined]
    assert found == Debt([])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--fail-above", "unused_table=0"], 8, "There is no kind of debt 'unused_table'"),
        (["--fail-above", "glue"], 8, "names no number"),
        (["--fail-above", "unimportant_features=0", "--home", "nowhere"], 1, ""),
    ],
)
def test_limits_that_bind_to_nothing_are_told(words: list[str], code: int, sentence: str, place: Path) -> None:
    done = caudal(place, "debt", "shop", *words)
    assert done.returncode == code
    assert sentence in done.stderr
    assert sentence or "unimportant_features could not be measured: no home" in done.stdout


def test_a_consumer_is_among_the_readers_and_must_use_something(place: Path) -> None:
    from caudal.declarations.settings import settings
    from caudal.governance.catalog import catalog

    document = catalog(settings(home=place / ".caudal"))
    (largest,) = [entry for entry in document["products"][0]["things"] if entry["name"] == "largest"]
    assert {"kind": "consumer", "name": "finance"} in largest["readers"]
    (place / "wrong").mkdir()
    (place / "wrong" / "product.py").write_text(PRODUCT.replace("of=[largest]", 'of=["largst"]'))
    checked = caudal(place, "check", "wrong", "--static")
    assert "'largst' is used by 'finance', but nothing declares it" in checked.stderr + checked.stdout
    assert "largest" in checked.stderr + checked.stdout
