"""A table is made of the code, the files and the variables that there are now; and the ledger says why each step ran or rested."""

from __future__ import annotations

from pathlib import Path

import deltalake
import pytest

from caudal.batch.batch import run
from caudal.commands.why import why_steps_ran
from caudal.declarations.settings import Settings
from caudal.errors import NotThere

pytestmark = pytest.mark.slow

PRODUCT = """
import json, os
from pathlib import Path
import caudal as cd
from pyspark.sql import SparkSession, functions as F
import rates

HERE = Path(__file__).parent
FEE = float(os.environ.get("FEE_OF_OURS", "1"))
RATES = json.loads((HERE / "rates.json").read_text())
ROUND = 2

product = cd.Product("changed")
product.source("orders", cd.files("in/*.csv"), schema=cd.schema(id="long", net="double"))
product.sql("still", "select id, net as out from orders")

def helper(x):
    return round(x, ROUND)

@F.udf("double")
def gross(net):
    return helper(net * rates.RATE)

@product.table()
def by_udf(orders):
    return orders.select("id", gross("net").alias("out"))

@product.table()
def by_json(orders):
    return orders.select("id", (F.col("net") * RATES["vat"] + FEE).alias("out"))

@product.table()
def by_file(orders):
    limit = float(Path(HERE, "limits", "limit" + ".txt").read_text())
    return orders.select("id", F.least("net", F.lit(limit)).alias("out"))

@product.table()
def by_spark(orders):
    more = SparkSession.getActiveSession().read.schema("by double").csv(str(HERE / "more"))
    return orders.crossJoin(more).select("id", (F.col("net") * F.col("by")).alias("out"))
"""
TABLES = ("still", "by_udf", "by_json", "by_file", "by_spark")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A product's folder, with one order of 100."""
    place = tmp_path / "changed"
    for name, text in {
        "product.py": PRODUCT, "rates.py": "RATE = 1.19\n", "rates.json": '{"vat": 1.5}', "limits/limit.txt": "50", "more/a.csv": "2\n",
        "in/a.csv": "id,net\n1,100\n",
    }.items():  # fmt: skip
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def outcome(folder: Path) -> tuple[dict[str, float], set[str]]:
    """Run the product; return the value of each table, and which tables were made anew."""
    result = run(folder, Settings(home=folder.parent / "home"))
    assert result.error is None, result.error
    lake = folder.parent / "home" / "lake" / "changed"
    values = {name: float(deltalake.DeltaTable(lake / name).to_pyarrow_table()["out"][0].as_py()) for name in TABLES}
    ran = {step["step"].partition(":")[2] for step in result.document["steps"] if step["state"] == "succeeded"}
    return values, ran & set(TABLES)


def why(folder: Path, table: str) -> str:
    steps = why_steps_ran(Settings(home=folder.parent / "home"), Path(f"changed/table:{table}"))["products"][0]["steps"]
    return steps[0]["why"]


def test_each_change_is_in_the_tables_and_its_reason_in_the_ledger(folder, spark, monkeypatch):
    monkeypatch.delenv("FEE_OF_OURS", raising=False)
    first = {"still": 100.0, "by_udf": 119.0, "by_json": 151.0, "by_file": 50.0, "by_spark": 200.0}
    assert outcome(folder) == (first, set(TABLES))
    assert why(folder, "by_udf") == "ran: it had not succeeded before"
    assert outcome(folder) == (first, set())

    (folder / "rates.py").write_text("RATE = 1.07\n")  # a module of the UDF's, in workers that have imported it
    assert outcome(folder) == ({**first, "by_udf": 107.0}, {"by_udf"})
    assert why(folder, "by_udf") == "ran: module rates (rates.py) changed"
    assert why(folder, "by_json").startswith("rested: nothing that it reaches has changed: 1 statement, ")

    (folder / "product.py").write_text(PRODUCT.replace("ROUND = 2", "ROUND = -1"))  # a constant of a helper of the UDF
    assert outcome(folder) == ({**first, "by_udf": 110.0}, {"by_udf"})
    assert why(folder, "by_udf") == "ran: the value of ROUND changed"

    (folder / "limits" / "limit.txt").write_text("60")  # read by the function itself
    values, ran = outcome(folder)
    assert (values["by_file"], ran) == (60.0, {"by_file"})
    assert why(folder, "by_file") == "ran: file limits/limit.txt changed"

    (folder / "more" / "a.csv").write_text("3\n")  # read by Spark, in the function
    values, ran = outcome(folder)
    assert (values["by_spark"], ran) == (300.0, {"by_spark"})

    (folder / "rates.json").write_text('{"vat": 2.0}')  # read while the product is loaded: every function may depend on it
    values, ran = outcome(folder)
    assert (values["by_json"], ran) == (201.0, set(TABLES) - {"still"})

    monkeypatch.setenv("FEE_OF_OURS", "5")
    values, ran = outcome(folder)
    assert (values["by_json"], ran) == (205.0, set(TABLES) - {"still"})
    assert why(folder, "by_json") == "ran: the value of FEE changed, variable FEE_OF_OURS was set"
    assert outcome(folder) == (values, set())
    with pytest.raises(NotThere, match="No step 'tables:by_json'"):
        why_steps_ran(Settings(home=folder.parent / "home"), Path("tables:by_json"))


def test_a_function_that_asks_the_network_is_asked_each_time(folder, spark):
    text = "\n@product.table()\ndef asks(orders):\n    import socket\n    try:\n        socket.create_connection(('192.0.2.1', 9), timeout=0.01)\n    except OSError:\n        pass\n    return orders.select('id', F.col('net').alias('out'))\n"
    (folder / "product.py").write_text(PRODUCT + text)
    outcome(folder)
    result = run(folder, Settings(home=folder.parent / "home"))
    assert [step["step"] for step in result.document["steps"] if step["state"] == "succeeded"] == ["table:asks"]
    assert why(folder, "asks") == "ran: its function asks the network, which may answer otherwise each time"
