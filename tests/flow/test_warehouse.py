"""A product that publishes: by ``caudal run``, on a real server, with what `check_product`, `home_status` and the page tell of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psycopg
import pytest

from caudal.batch.batch import run
from caudal.batch.plan import plan
from caudal.commands.check.check import check_product
from caudal.commands.status import home_status
from caudal.declarations.settings import Settings
from caudal.graph.load import load
from caudal.ledger.records import steps
from caudal.tables.home import Home

PRODUCT = '''
import caudal as cd

product = cd.Product("rides")
ZONES = cd.schema(zone_id=cd.column("long", nullable=False), zone=cd.column("string", label="Name of the zone"))
product.source("zones", cd.files("zones.csv"), schema=ZONES)
product.source(
    "rides_raw", cd.files("rides_*.csv"), event_time="at", partition="day",
    schema=cd.schema(ride_id="long", zone_id="long", at="timestamp", miles=cd.column("double", unit="mi")),
)


@product.table(event_time="at", partition="day")
def rides(rides_raw):
    """One row per ride."""
    return rides_raw


product.publish(rides, to=cd.warehouse(), key="ride_id", indexes=[["zone_id", "at"]], grant="readers", retry=1)
product.publish("zones", to=cd.warehouse(), key="zone_id", schema="lookup", name="Zones of New York")
product.star(
    "riding", to=cd.warehouse(),
    fact=cd.fact(rides, time="at", key="ride_id", measures=["miles"]),
    dimensions=[cd.dimension("zones", key="zone_id", changes="keep"), cd.date_dimension()],
)
'''


def rides(day, numbers):
    return "ride_id,zone_id,at,miles\n" + "".join(f"{n},{n % 3 + 1},2024-01-{day:02d} 08:00:{n % 60:02d},1.5\n" for n in numbers)


@pytest.fixture
def product(tmp_path) -> Path:
    folder = tmp_path / "rides"
    folder.mkdir()
    (folder / "product.py").write_text(PRODUCT)
    (folder / "zones.csv").write_text("zone_id,zone\n1,Harlem\n2,Astoria\n")
    (folder / "rides_1.csv").write_text(rides(1, range(5)) + rides(2, range(5, 10)).partition("\n")[2])
    return folder


def states(result):
    assert result.error is None, result.error
    return {one["step"]: (one["state"], one["why"]) for one in result.document["steps"] if one["step"].startswith("publish")}


def test_from_files_to_a_star(product, tmp_path, spark, postgres, postgres_url, monkeypatch):
    settings = Settings(home=tmp_path / "home", warehouse=postgres_url.replace("postgres@", "postgres:hunter2@"))
    assert check_product(product, settings) == []
    unset = run(product, Settings(home=tmp_path / "home"))
    assert set(states(unset).values()) == {("skipped", "no warehouse is set (CAUDAL_WAREHOUSE)")}
    first = run(product, settings)
    assert {state for state, _ in states(first).values()} == {"succeeded"}
    assert first.document["warehouse"]["rides"]["note"] == "made"
    page = Path(first.document["page"]).read_text()
    assert "publish:riding" in page
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as reader:
        joined = "SELECT zone, count(*), sum(miles) FROM riding.rides JOIN riding.zones USING (zone_id) GROUP BY 1 ORDER BY 1"
        pointed = "SELECT z.zone, count(*) FROM riding.rides JOIN riding.zones z ON zone_key = zones_key GROUP BY 1 ORDER BY 1"
        assert reader.execute(joined).fetchall() == [("Astoria", 3, 4.5), ("Harlem", 4, 6.0)]
        assert reader.execute(pointed).fetchall() == [("Astoria", 3), ("Harlem", 4), (None, 3)]
        assert reader.execute('SELECT count(*) FROM lookup."Zones of New York"').fetchone() == (2,)
        assert reader.execute("SELECT obj_description('rides.rides'::regclass)").fetchone() == ("One row per ride.",)
        assert reader.execute("SELECT col_description('lookup.\"Zones of New York\"'::regclass, 2)").fetchone() == (
            "Name of the zone",
        )

        with monkeypatch.context() as patch:
            patch.setattr(psycopg, "connect", lambda *_, **__: pytest.fail("a connection was made"))
            assert run(product, settings).document["state"] == "up to date"
            (product / "notes.py").write_text("# the manifest does not hold any more; the fingerprints do")
            assert set(states(run(product, settings)).values()) == {("skipped", "up to date")}

        (product / "rides_2.csv").write_text(rides(2, [20]) + rides(3, [21, 22]).partition("\n")[2])
        (product / "zones.csv").write_text("zone_id,zone\n1,Harlem\n2,Astoria\n3,Bronx\n")
        second = run(product, settings)
        assert second.document["warehouse"]["rides"]["note"] == "2 days"
        assert second.document["warehouse"]["riding"]["note"] == "2 days of facts, 1 row of dimensions, 3 pointers set anew"
        assert reader.execute("SELECT count(*) FROM rides.rides").fetchone() == (13,)
        assert reader.execute(pointed).fetchall() == [("Astoria", 4), ("Bronx", 4), ("Harlem", 5)]
    told = home_status(settings)["products"][0]["warehouse"]
    assert {(one["place"], one["version"]) for one in told} == {
        ("rides.rides", 1),
        ("lookup.Zones of New York", 1),
        ("riding.*", 1),
    }

    (product / "product.py").write_text(PRODUCT.replace('indexes=[["zone_id", "at"]]', 'indexes=["at"]'))
    postgres.stop()
    try:
        failed = run(product, settings)
    finally:
        postgres.start()
    assert failed.exit_code == 6
    assert "does not answer" in str(failed.error)
    with contextlib.closing(Home(settings.home).ledger()) as ledger:
        (step,) = ledger.find(steps, run_id=failed.document["run_id"], step="publish:rides")
        assert len(step["detail"]["attempts"]) == 1
    last = run(product, settings)
    assert (states(last)["publish:rides"][0], last.document["warehouse"]["rides"]["note"]) == (
        "succeeded",
        "keys, indexes, comments, readers",
    )
    for file in [path for path in tmp_path.rglob("*") if path.is_file()]:
        assert b"hunter2" not in file.read_bytes(), file


def test_what_check_finds(product, tmp_path, spark):
    (product / "product.py").write_text(
        PRODUCT.replace('key="ride_id", indexes', 'key="ride", indexes').replace('measures=["miles"]', 'measures=["mile"]')
    )
    found = [str(one) for one in check_product(product, Settings(home=tmp_path / "home"))]
    assert any("'rides.rides' names 'ride' in key=" in one and "Did you mean 'ride_id'?" in one for one in found)
    assert any("names the column 'mile'" in one and "Did you mean 'miles'?" in one for one in found)
    (product / "product.py").write_text(PRODUCT.replace('measures=["miles"]', 'measures=["miles"], links={"zone_id": "zone"}'))
    assert "Did you mean 'zones'?" in str(check_product(product, Settings(home=tmp_path / "home"), static=True)[0])
    (product / "product.py").write_text(PRODUCT.replace('"lookup"', '"' + "l" * 64 + '"'))
    with pytest.raises(Exception, match="1 to 63 bytes"):
        load(product)


def test_publications_of_predictions_come_with_them(tmp_path):
    from caudal.commands.new import create_product

    folder = create_product("shop", tmp_path)
    text = (
        folder / "product.py"
    ).read_text() + "\nfor one in list(product.predictions.values()):\n    product.publish(one, to=cd.warehouse())\n"
    (folder / "product.py").write_text(text)
    of = load(folder)
    (name,) = of.predictions
    for pipeline, there in (("all", True), ("predict", True), ("train", False)):
        needs = {step.name: step.needs for step in plan(of, pipeline)}
        assert (f"publish:{name}" in needs) == there
    assert {step.name: step.needs for step in plan(of)}[f"publish:{name}"] == (f"predict:{name}",)
