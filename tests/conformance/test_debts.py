"""Each kind of debt finds what it is about, at its place, and nothing in a product without it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from tests import lakes

from caudal.debt.finding import Debt
from caudal.debt.scope import DebtScope
from caudal.graph.load import load
from caudal.kinds import DEBTS
from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, add_measurements
from caudal.ledger.records import checks, decisions, landed, lineages, model_versions, profiles
from caudal.tables.home import Home

HEAD = """
import caudal as cd
from caudal import expect as ex
product = cd.Product("shop", owner="shop@example.org")
"""
ORDERS = """
product.source("orders", cd.files("orders.csv"), description="Orders by order_id, with their note.",
    schema=cd.schema(order_id=cd.column("long", nullable=False), amount_usd="double", note="string"))
"""
TOTALS = '''
@product.table(expect=[ex.between("amount_usd", 0, 500)])
def totals(orders):
    """The amount_usd of each order_id."""
    return orders.select("order_id", "amount_usd")
'''
READ = 'product.consumer("finance", of=["totals"])\n'
MODEL = """
from sklearn.linear_model import Ridge
@product.features(entity="order_id", labels=["amount_usd"])
def known(totals):
    "What is known of an order_id: weight_kg."
    return totals
price = product.model("price", features=known, label="amount_usd", candidates={"ridge": Ridge()}, split=cd.hashed(0.3),
    description="What it will cost.")
"""
SERVED = 'product.serve(price)\nproduct.consumer("the shop", of=[price])\n'
PREDICTED = 'predictions = product.predict(price)\nproduct.consumer("the shop", of=[predictions])\n'
CLEAN = HEAD + ORDERS + TOTALS + READ
COPIED = """
    both = orders.where("amount_usd > 0 and amount_usd < 100").groupBy("order_id").agg({"amount_usd": "sum"})
    named = both.withColumnRenamed("sum(amount_usd)", "amount_usd").withColumn("twice", both["order_id"] * 2 + 1)
    sorted_rows = named.orderBy("twice", "order_id", "amount_usd").limit(100).where("twice is not null")
    return sorted_rows.select("order_id", "amount_usd", "twice").distinct().where("order_id is not null")
"""
TWICE = f'\n@product.table\ndef one(orders):\n    "One."{COPIED}\n@product.table\ndef other(orders):\n    "Another."{COPIED}\nproduct.consumer("x", of=[one, other])\n'
In = Callable[[Home, Ledger], None]


@dataclass(frozen=True)
class Example:
    """A product with a debt, one without, and what their home holds.

    Parameters
    ----------
    found : subject, and part of the sentence, of each finding
    """

    text: str
    found: list[tuple[str, str]]
    without: str = CLEAN
    home: In | None = None
    home_without: In | None = None


def write_tables(home: Home, ledger: Ledger) -> None:
    lakes.write(home.table("shop", "totals"), pa.table({"order_id": [1], "amount_usd": [2.0], "idle": ["x"]}))
    lakes.write(home.table("shop", "known"), pa.table({"order_id": [1], "amount_usd": [2.0], "weight_kg": [1.0]}))
    made = {
        "totals": {"order_id": [("orders", "order_id", "identity")], "amount_usd": [("orders", "amount_usd", "identity")], "idle": [("orders", "note", "transformation")]},
        "known": {"order_id": [("totals", "order_id", "identity")], "amount_usd": [("totals", "amount_usd", "identity")], "weight_kg": [("totals", "amount_usd", "transformation")]},
    }  # fmt: skip
    for table, columns in made.items():
        origins = {name: {"from": [dict(zip(("table", "column", "kind"), part, strict=True)) for part in parts], "indirect": []} for name, parts in columns.items()}  # fmt: skip
        ledger.add(lineages, {"run_id": "r", "product": "shop", "table": table, "version": 0, "document": {"columns": origins, "rows": {"indirect": []}}})  # fmt: skip


def write_used_tables(home: Home, ledger: Ledger) -> None:
    write_tables(home, ledger)
    lakes.write(home.table("shop", "totals"), pa.table({"order_id": [1], "amount_usd": [2.0]}))


def write_champion(home: Home, ledger: Ledger, *, trained: int = 0) -> None:
    write_tables(home, ledger)
    version = {
        "product": "shop", "model": "price", "version": 1, "candidate": "ridge", "created_at": 0.0, "run_id": "r", "fingerprint": "f", "code": "c",
        "training_table": "known", "training_version": trained, "training_rows": 1, "parameters": {}, "metrics": {}, "signature": {"inputs": []}, "environment": {},
        "artifact": "a", "artifact_sha256": "0", "format": "skops",
    }  # fmt: skip
    ledger.add(model_versions, version)
    ledger.add(
        decisions, {"product": "shop", "model": "price", "version": 1, "decision": "promoted", "gates": [], "who": "x", "at": 0.0}
    )


def write_newer_features(home: Home, ledger: Ledger) -> None:
    write_champion(home, ledger)
    lakes.write(home.table("shop", "known"), pa.table({"order_id": [1, 2], "amount_usd": [2.0, 3.0], "weight_kg": [1.0, 4.0]}))


def write_newer_version_that_was_refused(home: Home, ledger: Ledger) -> None:
    write_newer_features(home, ledger)
    (row,) = ledger.find(model_versions)
    ledger.add(model_versions, {**row, "version": 2, "training_version": 1})


def write_importance(home: Home, ledger: Ledger, *, high: float = 0.0) -> None:
    write_champion(home, ledger)
    of = ("shop", "r", 0.0, "model", "price", "importance")
    add_measurements(
        ledger,
        Measurement(*of, 0.4, 0.3, 0.5, group_by=("input",), group_value=("amount",), version=1),
        Measurement(*of, -0.1, -0.2, high, group_by=("input",), group_value=("weight_kg",), version=1),
    )


def write_runs(home: Home, ledger: Ledger, *, runs: int = 6, broken: int = 0, greatest: float = 4.0) -> None:
    for number in range(runs):
        of = {"run_id": f"r{number}", "product": "shop", "table": "totals"}
        ledger.add(checks, {**of, "expectation": "between(amount_usd, -1000, 5000)", "kind": "between", "action": "stop", "rows": 10, "broken": broken, "passed": not broken})  # fmt: skip
        ledger.add(profiles, {**of, "version": number, "rows": 10, "columns": {"amount_usd": {"min": 1.0, "max": greatest}}})


def write_landed_from_the_lake(home: Home, ledger: Ledger) -> None:
    path = str(Path(str(home.table("shop", "price_predictions"))) / "part.parquet")
    ledger.add(landed, {"product": "shop", "source": "orders", "path": path, "base": None, "sha256": "0", "bytes": 1, "modified_ns": 0, "landed_at": 0.0, "run_id": "r", "kind": "data"})  # fmt: skip


WIDE = CLEAN.replace("0, 500", "-1000, 5000")
WITH_MODEL = HEAD + ORDERS + TOTALS + MODEL + SERVED
LEARNS = HEAD + ORDERS + TOTALS + MODEL + PREDICTED
PUBLISHED = 'product.publish("totals", to=cd.warehouse("postgresql://x@db/w"){grant})\n'
BACK = 'product.source("returns", cd.database("postgresql://x@db/w", table="shop.totals"), description="x")\n'
RETURNS = '\n@product.table\ndef sums(returns):\n    "Sums."\n    return returns\n'
EXAMPLES: dict[str, Example] = {
    "unused_tables": Example(HEAD + ORDERS + TOTALS, [("totals", "Nothing reads the table 'totals'")]),
    "dead_branches": Example(HEAD + ORDERS + TOTALS + MODEL, [("price", "is trained"), ("orders", "totals alone"), ("totals", "known alone"), ("known", "price alone")], WITH_MODEL),
    "unused_columns": Example(WITH_MODEL, [("totals", "Nothing uses idle of 'totals'.")], WITH_MODEL, write_tables, write_used_tables),
    "unimportant_features": Example(WITH_MODEL, [("price", "is not worse without weight_kg")], WITH_MODEL, write_importance, lambda home, ledger: write_importance(home, ledger, high=0.1)),
    "undeclared_consumers": Example(
        CLEAN.replace(', owner="shop@example.org"', "").replace(READ, "") + MODEL + "product.serve(price)\nproduct.predict(price)\n" + PUBLISHED.format(grant=""),
        [("totals", "'shop.totals' is published"), ("price_predictions", "nothing reads them"), ("price", "is served"), ("shop", "has no owner")],
        WITH_MODEL + PREDICTED + PUBLISHED.format(grant=', grant="readers"'),
    ),
    "stale_models": Example(WITH_MODEL, [("price", "the table is at version 1 (2 rows)")], WITH_MODEL, write_newer_features, write_newer_version_that_was_refused),
    "idle_expectations": Example(WIDE, [("totals", "has not failed in 6 runs")], WIDE, write_runs, lambda home, ledger: write_runs(home, ledger, greatest=900.0)),
    "glue": Example(
        CLEAN + "from pyspark.sql.functions import udf\n@udf\ndef shout(text):\n    return text.upper()\n\ndef more(frame):\n    frame = frame.distinct()\n    return frame\n"
        '\n@product.table\ndef small(totals):\n    "Small."\n    totals.toPandas()\n    return totals\nproduct.consumer("x", of=[small])\n',
        [("shout", "runs Python for each row"), ("small", "toPandas()")],
    ),
    "undocumented": Example(
        CLEAN.replace("with their note", "with more").replace('    """The amount_usd of each order_id."""\n', ""),
        [("orders", "1 of 3 columns of 'orders' have neither description nor unit: note."), ("totals", "'totals' has no description.")],
    ),
    "feedback": Example(LEARNS, [("orders", "model 'price' learns from its own predictions: orders → totals → known → price → price_predictions → orders")], LEARNS, write_landed_from_the_lake, lambda home, ledger: None),
    "duplicated_code": Example(CLEAN + TWICE, [("one", "The same 4 lines stand in one and other")], CLEAN + TWICE.replace("distinct()", "limit(3)", 1)),
    "unpinned_imports": Example(CLEAN + "import hypothesis\n", [("hypothesis", "nothing pins 'hypothesis'")], CLEAN + "import pandas\n"),
}  # fmt: skip


@contextlib.contextmanager
def measured(folder: Path, text: str, home: In | None) -> Iterator[DebtScope]:
    """Yield the scope of a product of this text, with a home where one is given."""
    (folder / ".git").mkdir(parents=True)  # no list of requirements is looked for above
    (folder / "product.py").write_text(text)
    product = load(folder)
    if home is None:
        yield DebtScope(product)
        return
    at = Home(folder / "home", None)
    at.path.mkdir()
    with contextlib.closing(at.ledger()) as ledger:
        home(at, ledger)
        yield DebtScope(product, at, ledger)


def debt(folder: Path, kind: str, text: str, home: In | None = None) -> Debt:
    with measured(folder, text, home) as scope:
        return DEBTS[kind].find_debt(scope)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_debt_is_found_at_its_place(kind: str, tmp_path: Path) -> None:
    example = EXAMPLES[kind]
    findings = debt(tmp_path / "shop", kind, example.text, example.home).findings
    assert [finding.subject for finding in findings] == [subject for subject, _ in example.found]
    for finding, (_, part) in zip(findings, example.found, strict=True):
        assert part in finding.what
        assert finding.fix
        assert finding.where is not None
        file, _, line = finding.where.rpartition(":")
        assert Path(file).name == "product.py"
        assert 0 < int(line) <= example.text.count("\n")


@pytest.mark.parametrize("kind", EXAMPLES)
def test_nothing_is_found_where_there_is_none(kind: str, tmp_path: Path) -> None:
    example = EXAMPLES[kind]
    found = debt(tmp_path / "shop", kind, example.without, example.home_without or example.home)
    assert found.findings == []
    assert found.measured


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_kind_says_what_it_cannot_measure_without_a_home(kind: str, tmp_path: Path) -> None:
    found = debt(tmp_path / "shop", kind, WITH_MODEL)
    assert found.measured or (found.not_measured or "").startswith("no home")


def test_a_table_that_something_reads_whole_has_no_unused_columns(tmp_path: Path) -> None:
    found = debt(tmp_path / "shop", "unused_columns", WITH_MODEL + READ, write_tables)
    assert (found.findings, found.not_measured) == ([], "read whole, or by what hides its columns: totals")


def test_a_reader_that_hides_its_columns_is_no_reason_to_call_one_unused(tmp_path: Path) -> None:
    def hidden(home: Home, ledger: Ledger) -> None:
        write_tables(home, ledger)
        (row,) = ledger.find(lineages, table="known")
        row["document"]["columns"]["weight_kg"]["unknown"] = "a Python function"
        ledger.add(lineages, {name: value for name, value in row.items() if name != "id"})

    assert debt(tmp_path / "shop", "unused_columns", WITH_MODEL, hidden).findings == []


def test_an_expectation_that_failed_once_or_was_seldom_judged_is_not_idle(tmp_path: Path) -> None:
    for number, home in enumerate([lambda h, at: write_runs(h, at, broken=1), lambda h, at: write_runs(h, at, runs=4)]):
        assert debt(tmp_path / str(number), "idle_expectations", WIDE, home).findings == []


def test_what_the_schema_guarantees_cannot_fail(tmp_path: Path) -> None:
    text = CLEAN.replace('note="string")', 'note="string"), expect=[ex.not_null("order_id"), ex.not_null("note"), ex.row_count(0)]')
    found = debt(tmp_path / "shop", "idle_expectations", text)
    assert [finding.what.partition(" ")[0] for finding in found.findings] == ["not_null(order_id)", "row_count(0,"]


@pytest.mark.parametrize(
    ("published", "source"),
    [
        (PUBLISHED.format(grant=""), BACK),
        ('product.publish("totals", to=cd.warehouse())\n', BACK),
    ],
)
def test_a_published_table_that_comes_back_is_feedback(published: str, source: str, tmp_path: Path) -> None:
    text = CLEAN + published + source + RETURNS
    assert debt(tmp_path / "shop", "feedback", text).findings == []  # nothing that is published is made of what comes back
    turned = text.replace("def totals(orders):", "def totals(orders, sums):")
    (finding,) = debt(tmp_path / "turned", "feedback", turned).findings
    assert "returns → sums → totals → returns" in finding.what
    assert debt(tmp_path / "other", "feedback", turned.replace("shop.totals", "other.totals")).findings == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("requirements.txt", "Hypothesis==6.1\n", None),
        ("requirements.txt", "hypothesis[numpy] >= 6\n", None),
        ("requirements.txt", "hypothesis\n", "is required in any version"),
        ("requirements.txt", "hypothesis-extra==1\n", "nothing pins"),
        ("uv.lock", '[[package]]\nname = "hypothesis"\nversion = "6.1"\n', None),
        ("poetry.lock", '[[package]]\nname = "hypothesis"\nversion = "6.1"\n', None),
        ("pyproject.toml", '[project]\ndependencies = ["hypothesis>=6,<7"]\n', None),
        ("Pipfile", '[packages]\nhypothesis = "==6.1"\n', None),
    ],
)
def test_lists_of_requirements_pin(name: str, content: str, what: str | None, tmp_path: Path) -> None:
    (folder := tmp_path / "shop").mkdir()
    (folder / name).write_text(content)
    findings = debt(folder, "unpinned_imports", CLEAN + "import hypothesis\n").findings
    assert [what in finding.what for finding in findings if what] == ([True] if what else [])
    assert len(findings) == (what is not None)
