"""A product on a real database: what changed comes, the newest of a key counts, nothing is doubled or lost, on either ledger."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg
import pytest
from tests import zygote

from caudal.batch.batch import run
from caudal.commands.check.check import check_product
from caudal.commands.quarantine import count_quarantined
from caudal.declarations.settings import Settings
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.ledger.records import landed
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

PRODUCT = '''
import caudal as cd
from caudal import expect as ex

product = cd.Product("shop")
product.source(
    "rentals",
    cd.database(env="SHOP_DB", table="rental", watermark="last_update", overlap="10 minutes", key="rental_id", parallel=3),
    event_time="rental_date", partition="day", expect=[ex.positive("customer_id").quarantine()],
)
product.source("films", cd.database(env="SHOP_DB", table="film", key="film_id"))


@product.table(event_time="rental_date", partition="day")
def open_rentals(rentals):
    """Rentals that have not come back."""
    return rentals.filter("return_date IS NULL").select("rental_id", "rental_date")
'''


@pytest.fixture
def sakila_of_mine(postgres, shared_data, monkeypatch):
    """A database that may be changed; the user has a password, which the server does not ask for."""
    with postgres.sakila(shared_data) as url:
        monkeypatch.setenv("SHOP_DB", url.replace("postgres@", "postgres:hunter2@"))
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ALTER TABLE rental DISABLE TRIGGER USER")  # it would write last_update by the clock
            yield connection


def declared(folder: Path, text: str = PRODUCT) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "product.py").write_text(text)
    return folder


def table(settings, name):
    return arrow(delta.read_version(Home(settings.home.absolute(), settings.ledger).table("shop", name))).to_pylist()


def in_database(connection, query):
    asked = connection.execute(query)
    names = [one.name for one in asked.description]
    return sorted((dict(zip(names, row, strict=True)) for row in asked), key=repr)


def without(rows, *names):
    return sorted(
        ({name: value for name, value in row.items() if not name.startswith("_") and name not in names} for row in rows), key=repr
    )


def states(result):
    assert result.error is None, result.error
    return {one["step"]: one["state"] for one in result.document["steps"]}


def test_tables_follow_the_database(sakila_of_mine, tmp_path, spark, ledger_url):
    folder, settings = declared(tmp_path / "shop"), Settings(home=tmp_path / "home", ledger=ledger_url)
    assert check_product(folder, settings) == []
    assert set(states(run(folder, settings)).values()) == {"succeeded"}
    assert without(table(settings, "rentals")) == in_database(sakila_of_mine, "SELECT * FROM rental")
    assert without(table(settings, "films")) == in_database(
        sakila_of_mine,
        "SELECT film_id, title, description, release_year, language_id, original_language_id, rental_duration, rental_rate, length,"
        " replacement_cost, rating, last_update, special_features, fulltext::text FROM film",
    )
    assert set(states(run(folder, settings)).values()) == {"skipped"}

    changed = "SET last_update = '2030-01-01'"
    sakila_of_mine.execute(f"UPDATE rental {changed}, return_date = '2030-01-01' WHERE return_date IS NULL AND rental_id % 2 = 0")
    sakila_of_mine.execute(
        f"UPDATE rental {changed}, rental_date = rental_date + interval '40 days' WHERE rental_id IN (100, 9000)"
    )
    sakila_of_mine.execute(
        "INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id, last_update) VALUES ('2030-01-01', 1, 1, 1, '2030-01-01')"
    )
    told = states(run(folder, settings))
    assert (told["read:rentals"], told["table:open_rentals"], told["read:films"]) == ("succeeded", "succeeded", "skipped")
    assert without(table(settings, "rentals")) == in_database(sakila_of_mine, "SELECT * FROM rental")
    assert without(table(settings, "open_rentals")) == in_database(
        sakila_of_mine, "SELECT rental_id, rental_date FROM rental WHERE return_date IS NULL"
    )
    assert set(states(run(folder, settings)).values()) == {"skipped"}

    for file in [path for path in tmp_path.rglob("*") if path.is_file()]:
        assert b"hunter2" not in file.read_bytes(), file
    if ledger_url.startswith("postgresql"):
        ledger = Home(settings.home, ledger_url).ledger()
        for kept in ledger.find(landed):
            assert "hunter2" not in repr(kept)
        ledger.close()


def test_an_empty_ledger_and_a_new_home_give_the_same_table(sakila_of_mine, tmp_path, spark):
    """What came in pieces equals what comes at once."""
    folder, settings = declared(tmp_path / "shop"), Settings(home=tmp_path / "home")
    sakila_of_mine.execute(
        "CREATE TABLE later AS SELECT * FROM rental WHERE rental_id % 5 = 0; DELETE FROM payment; DELETE FROM rental WHERE rental_id % 5 = 0"
    )
    states(run(folder, settings))
    for part in range(2):
        sakila_of_mine.execute("UPDATE later SET last_update = %s", [f"2030-01-0{part + 1}"])
        sakila_of_mine.execute("INSERT INTO rental SELECT * FROM later WHERE rental_id %% 2 = %s", [part])
        sakila_of_mine.execute(
            "UPDATE rental SET staff_id = 3 - staff_id, last_update = %s WHERE rental_id %% 7 = %s", [f"2030-01-0{part + 1}", part]
        )
        states(run(folder, settings))
    other = Settings(home=tmp_path / "other")
    states(run(folder, other))
    assert (
        without(table(settings, "rentals"))
        == without(table(other, "rentals"))
        == in_database(sakila_of_mine, "SELECT * FROM rental")
    )


def test_history_keeps_all_versions(sakila_of_mine, tmp_path, spark):
    folder = declared(
        tmp_path / "shop",
        PRODUCT.replace("parallel=3", "history=True").replace('table="film"', 'table="category"').replace(', key="film_id"', ""),
    )
    settings = Settings(home=tmp_path / "home")
    states(run(folder, settings))
    for day in (1, 2):
        sakila_of_mine.execute(f"UPDATE rental SET staff_id = {day}, last_update = '2030-01-0{day}' WHERE rental_id = 5")
        states(run(folder, settings))
    versions = sorted((row["last_update"].year, row["staff_id"]) for row in table(settings, "rentals") if row["rental_id"] == 5)
    assert versions == [(2006, 1), (2030, 1), (2030, 2)]
    assert len(table(settings, "rentals")) == 16_046
    assert set(states(run(folder, settings)).values()) == {"skipped"}


def test_the_contract_freezes_evolves_and_sets_aside(sakila_of_mine, tmp_path, spark):
    closed = PRODUCT.replace(
        "event_time=", 'schema=cd.schema(rental_id="int", rental_date=cd.column("timestamp", nullable=False), inventory_id="int", customer_id="int",'
        ' return_date="timestamp", staff_id=cd.column("int", nullable=False), last_update="timestamp", open=False), event_time=', 1,
    )  # fmt: skip
    folder, settings = declared(tmp_path / "shop", closed), Settings(home=tmp_path / "home")
    states(run(folder, settings))
    sakila_of_mine.execute(
        "DROP VIEW sales_by_film_category, sales_by_store CASCADE; ALTER TABLE rental ADD COLUMN coupon text; ALTER TABLE rental ALTER staff_id DROP NOT NULL; ALTER TABLE rental ALTER rental_id TYPE bigint"
    )
    sakila_of_mine.execute("UPDATE rental SET coupon = 'spring', last_update = '2030-01-01' WHERE rental_id IN (1, 2, 3)")
    sakila_of_mine.execute("UPDATE rental SET staff_id = NULL WHERE rental_id = 1")
    sakila_of_mine.execute(
        "INSERT INTO customer SELECT 0, store_id, 'No', 'Body', NULL, address_id, true, now(), now() FROM customer LIMIT 1"
    )
    sakila_of_mine.execute("UPDATE rental SET customer_id = 0 WHERE rental_id = 2")
    for _ in range(2):  # refused, and refused again: what came is not forgotten
        error = run(folder, settings).error
        assert isinstance(error, SourceProblem)
        assert "coupon" in str(error)
    declared(folder, closed.replace("open=False", "open=True").replace('rental_id="int"', 'rental_id="long"'))
    states(run(folder, settings))
    rows = {row["rental_id"]: row for row in table(settings, "rentals")}
    assert (rows[3]["coupon"], rows[4]["coupon"], len(rows)) == ("spring", None, 16042)
    assert {(one["reason"], one["rows"]) for one in count_quarantined(settings)} == {
        ("staff_id is missing", 1),
        ("positive(customer_id)", 1),
    }


def test_a_server_that_is_away_and_comes_back(postgres, sakila_of_mine, tmp_path, spark, monkeypatch):
    from caudal.stages.ingest import database as fetching

    monkeypatch.setattr(fetching, "BACKOFF_S", 0.01)
    folder, settings = declared(tmp_path / "shop"), Settings(home=tmp_path / "home")
    name = sakila_of_mine.info.dbname
    sakila_of_mine.close()
    postgres.stop()
    try:
        result = run(folder, settings)
    finally:
        postgres.start()
    assert isinstance(result.error, EnvironmentProblem)
    assert result.exit_code == 6
    assert "env:SHOP_DB does not answer" in str(result.error)
    states(run(folder, settings))
    with psycopg.connect(postgres.url(name).replace("+psycopg", "")) as connection:
        assert without(table(settings, "rentals")) == in_database(connection, "SELECT * FROM rental")


@pytest.mark.slow
@pytest.mark.faults
def test_an_extraction_that_is_killed_lands_nothing(sakila_of_mine, tmp_path, spark):
    folder, settings = declared(tmp_path / "shop"), Settings(home=tmp_path / "home")
    killer = Path(__file__).parents[1] / "faults" / "killed.py"
    log = tmp_path / "log"
    for when in ("before _write 001", "after _write 002", "before _copy 001", "after _copy 002"):
        command = [sys.executable, killer, f"at:{when}.parquet", log, "--", "run", folder, "--home", settings.home]
        died = zygote.run([str(part) for part in command], env=os.environ, capture_output=True, timeout=300)
        assert died.returncode == -9, died.stderr[-2000:]
        ledger = Home(settings.home).ledger()
        assert [row for row in ledger.find(landed) if row["source"] == "rentals"] == []
        ledger.close()
    states(run(folder, settings))
    assert without(table(settings, "rentals")) == in_database(sakila_of_mine, "SELECT * FROM rental")
