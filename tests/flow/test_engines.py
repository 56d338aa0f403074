"""The sample product on Sail and on Spark: the same tables to the bit, whichever engine made them, and no engine where nothing is new."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests import here
from tests.lake_compare import differences, tables_of

pytest.importorskip("pysail", reason="pip install 'caudal[sail]'")

PREDICTED = ("visitors_predictions",)
"""Tables whose rows depend on chance in training."""


def caudal(*arguments: object, code: int = 0, **environment: str) -> Any:
    done = here.run(
        [sys.executable, "-m", "caudal", *map(str, arguments), "--json"],
        env={**os.environ, "CAUDAL_CORES": "2", **environment},
        timeout=500,
    )
    assert done.returncode == code, done.stderr + done.stdout[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample product without its model: how tables are made does not depend on it."""
    place = tmp_path_factory.mktemp("engines")
    caudal("new", "shop", "--into", place)
    text = (place / "shop" / "product.py").read_text()
    (place / "shop" / "product.py").write_text(text[: text.index("visitors = product.model(")])
    return place / "shop"


def states(document: Any) -> dict[str, str]:
    return {step["step"]: step["state"] for step in document["steps"]}


def run_on(engine: str, shop: Path, home: Path) -> Any:
    """Run the sample; where the engine is to be chosen there is no Java, so that each step must be one that Sail does."""
    return caudal("run", shop, "--home", home, "--engine", engine, **({"CAUDAL_JAVA": "none"} if engine == "auto" else {}))


@pytest.fixture(scope="module")
def homes(shop: Path, spark: Any, sail_server: Any) -> dict[str, Path]:
    """A home by each engine: four files first, then the others."""
    held = shop.parent / "held"
    held.mkdir()
    late = sorted((shop / "landing").glob("*.csv"))[4:]
    for file in late:
        shutil.move(file, held)
    found = {engine: shop.parent / f"home-{engine}" for engine in ("spark", "auto")}
    for engine, home in found.items():
        run_on(engine, shop, home)
    assert differences(found["spark"] / "lake", found["auto"] / "lake", PREDICTED) == []
    for file in sorted(held.iterdir()):
        shutil.move(file, shop / "landing")
    return found


def test_tables_are_equal_after_a_first_run_and_after_one_more_week(shop: Path, homes: dict[str, Path]) -> None:
    documents = {engine: run_on(engine, shop, home) for engine, home in homes.items()}
    assert len(tables_of(homes["auto"] / "lake")) == 5
    assert differences(homes["spark"] / "lake", homes["auto"] / "lake", PREDICTED) == []
    assert documents["spark"]["tables"] == documents["auto"]["tables"]


def test_a_server_of_spark_makes_the_same_tables(shop: Path, homes: dict[str, Path], connect_address: str) -> None:
    home = shop.parent / "home-connect"
    caudal("run", shop, "--home", home, "--engine", connect_address)
    caudal("run", shop, "--home", homes["spark"], "--engine", "spark")
    assert differences(homes["spark"] / "lake", home / "lake", PREDICTED) == []
    assert not list(home.rglob("*.crc"))


def test_another_engine_makes_nothing_again(shop: Path, homes: dict[str, Path]) -> None:
    for engine in ("spark", "auto", "sail"):
        assert set(states(caudal("run", shop, "--home", homes["auto"], "--engine", engine)).values()) == {"skipped"}


def test_what_sail_cannot_do_is_done_on_spark_and_said_or_refused(tmp_path: Path, spark: Any, sail_server: Any) -> None:
    (tmp_path / "product.py").write_text(
        "import caudal as cd\n"
        "product = cd.Product('odd')\n"
        "product.source('raw', cd.files('*.csv'), schema=cd.schema(n=cd.column('long')))\n"
        "@product.table\n"
        "def doubled(raw):\n"
        "    assert raw.rdd is not None\n"
        "    return raw.selectExpr('n * 2 AS n')\n"
    )
    (tmp_path / "a.csv").write_text("n\n1\n2\n")
    home = tmp_path / "home"
    refused = caudal("run", tmp_path, "--home", home, "--engine", "sail", code=5)
    assert states(refused) == {"land:raw": "succeeded", "read:raw": "succeeded", "table:doubled": "failed"}
    assert "--engine auto" in json.dumps(refused)
    document = caudal("run", tmp_path, "--home", home, "--engine", "auto")
    assert states(document)["table:doubled"] == "succeeded"


PRODUCTS = Path(__file__).parents[2] / "products"
PARTS = {
    "income": ("# An offer goes to whom", "adult", 3),
    "fruits": ('@product.features(\n    entity="sha256"', "fruits", 2),
}
"""Of a product, where its models begin, its data, and the number of its tables."""


@pytest.mark.parametrize("name", PARTS)
def test_tables_of_the_products_are_equal(name: str, tmp_path: Path, shared_data: Path, spark: Any, sail_server: Any) -> None:
    models, folder, count = PARTS[name]
    text = (PRODUCTS / name / "product.py").read_text()
    (tmp_path / "product.py").write_text(text[: text.index(models)])
    files = {"income": ["adult.csv"], "fruits": ["grocery/Apple/*.jpg", "grocery/Banana/*.jpg"]}[name]
    for file in (file for pattern in files for file in sorted(shared_data.joinpath(folder).glob(pattern))[:4]):
        target = tmp_path / file.relative_to(shared_data / folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    for engine in ("spark", "auto"):
        caudal("run", tmp_path, "--data", tmp_path, "--home", tmp_path / engine, "--engine", engine)
    assert len(set(tables_of(tmp_path / "auto" / "lake"))) >= count
    assert differences(tmp_path / "spark" / "lake", tmp_path / "auto" / "lake") == []


def test_a_query_in_sql_is_made_for_the_days_that_changed(tmp_path: Path, spark: Any, sail_server: Any) -> None:
    """Sail does not tell how far a query looks back: Spark, which does, makes the days; a first time Sail makes all."""
    (tmp_path / "product.py").write_text(
        "import caudal as cd\n"
        "product = cd.Product('asked')\n"
        "product.source('raw', cd.files('*.csv'), schema=cd.schema(at='timestamp', n='long'), event_time='at', partition='day')\n"
        "product.sql('wide', 'SELECT at, n FROM raw WHERE n > 0', event_time='at', partition='day')\n"
    )
    (tmp_path / "a.csv").write_text("at,n\n2024-01-01 10:00:00,1\n2024-01-02 10:00:00,2\n")
    caudal("run", tmp_path, "--home", tmp_path / "home", "--engine", "auto", CAUDAL_JAVA="none")
    (tmp_path / "b.csv").write_text("at,n\n2024-01-03 10:00:00,3\n")
    document = caudal("run", tmp_path, "--home", tmp_path / "home", "--engine", "auto")
    assert document["tables"]["wide"]["partitions_written"] == 1


JUDGED = """
import caudal as cd
from caudal import expect as ex
product = cd.Product("judged", tz="America/New_York")
SCHEMA = cd.schema(at="timestamp_utc", word="string", n="long", x="double")
product.source("raw", cd.files("*.csv"), schema=SCHEMA, event_time="at", partition="day")
product.source("words", cd.files("*.csv"), schema=SCHEMA, expect=[ex.matches("word", r"\\w+").quarantine(), ex.sql("n + 1 > n").warn()])

@product.table(expect=[ex.sql(r"word rlike '^\\\\w+$'").quarantine(), ex.unique("n", last_by="x").quarantine()])
def kept(words):
    return words.selectExpr("n", "if(word = 'b', -x, x) AS x", "word", "array(if(n = 4, word, null), word) AS list")

@product.table(expect=[ex.unique("x").quarantine(), ex.monotone("n", over="x").warn()])
def by_number(words):
    return words.selectExpr("if(word = 'b', -x, x) AS x", "n", "word")

@product.table(event_time="at", partition="day")
def by_day(raw):
    return raw.select("at", "n")
"""
LINES = """at,word,n,x
2150-07-01T04:30:00Z,café,1,1.0
2024-07-01T04:30:00Z,tea,2,0.5
2024-01-01T04:30:00Z,b,3,0.0
2024-01-01T05:30:00Z,a,3,0.0
2199-12-31T23:59:59Z,c,4,2.0
2199-12-31T23:59:59Z,c,4,2.0
2199-07-31T04:15:59Z,d,4,2.0
1850-07-31T04:59:59Z,e,9223372036854775806,nan
"""


def test_what_judges_rows_is_held_against_the_table_too(tmp_path: Path, spark: Any, sail_server: Any) -> None:
    """Patterns are Java's, days those of Spark's rules of zones, and of rows with the same key the same one stays."""
    (tmp_path / "product.py").write_text(JUDGED)
    (tmp_path / "a.csv").write_text(LINES)
    documents = {engine: caudal("run", tmp_path, "--home", tmp_path / engine, "--engine", engine) for engine in ("spark", "auto")}
    assert differences(tmp_path / "spark" / "lake", tmp_path / "auto" / "lake") == []
    assert documents["spark"]["tables"] == documents["auto"]["tables"]
    assert set(states(documents["auto"]).values()) == {"succeeded"}
