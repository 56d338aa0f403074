"""A product on databases that Spark asks by JDBC: the same rows and types as by psycopg, what changed, and what is said when it does not go."""

from __future__ import annotations

import json
import os
import sys
import threading
import zipfile
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import zygote
from tests.flow import jdbc_elsewhere
from tests.postgres import server

import caudal as cd
import caudal.stages.ingest.database as fetching
import caudal.stages.ingest.sql.jdbc.extract as extracting
from caudal.batch.batch import run
from caudal.commands.check.check import check_product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, EnvironmentProblem, SourceProblem
from caudal.ledger.records import landed
from caudal.stages.ingest import Engine, KnownFile, arrivals
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

PASSWORD = "hunter2&;x"
PRODUCT = '''
import caudal as cd

product = cd.Product("shop")
product.source(
    "rentals",
    cd.database(env="SHOP_DB", table="rental", watermark="last_update", overlap="10 minutes", key="rental_id", parallel=3),
    event_time="rental_date", partition="day",
)
product.source("films", cd.database(env="SHOP_DB", table="film", key="film_id"))


@product.table(event_time="rental_date", partition="day")
def open_rentals(rentals):
    """Rentals that have not come back."""
    return rentals.filter("return_date IS NULL").select("rental_id", "rental_date")
'''


@pytest.fixture(scope="module")
def postgres_on_a_port():
    with server(listens=True) as one:
        yield one


@pytest.fixture(scope="module")
def shop(postgres_on_a_port, shared_data):
    """The database: its server, its name, its URL for psycopg, that for JDBC, and a connection that may change it."""
    with postgres_on_a_port.sakila(shared_data) as url:
        name = url.partition("@/")[2].partition("?")[0]
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ALTER TABLE rental DISABLE TRIGGER USER")
            connection.execute(f"CREATE ROLE guarded LOGIN SUPERUSER PASSWORD '{PASSWORD}'".encode())
            yield {"server": postgres_on_a_port, "name": name, "psycopg": url, "connection": connection}


def jdbc(shop, *, user="postgres", password="hunter2", database=None, port=None):
    quoted = password.replace("&", "%26").replace(";", "%3B")
    return f"jdbc:postgresql://127.0.0.1:{port or shop['server'].port}/{database or shop['name']}?user={user}&password={quoted}"


def taken(source, spark, folder):
    """Return the files of an extraction, as tables."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = Engine(lambda: spark, folder / "room")
    return [pq.read_table(one.local) for one in arrivals(source, data=None, scratch=folder, landed={}, engine=engine)]


def in_order(table):
    return sorted(map(repr, table.to_pylist()))


def test_tables_and_types_are_those_that_psycopg_brings(shop, spark, tmp_path):
    connection = shop["connection"]
    connection.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN price AS numeric(8,3); CREATE SCHEMA other; CREATE TYPE other.size AS ENUM ('S')"
    )
    connection.execute(
        """CREATE TABLE every (id bigserial, small smallint, big bigint, yes boolean, single real, double double precision, plain numeric, cost price,
        day date, at_s timestamp(0), at timestamptz, blob bytea, doc jsonb, uuid uuid, span tstzrange, clock time, mood mood, moods mood[], size other.size,
        whole int[], costs numeric(8,3)[], kind "char", "Odd "" name: x%" text, pad char(5), prices price[], blobs bytea[], bits bit(3), number oid,
        pay money, ago interval, times timestamptz[])"""
    )
    connection.execute(
        """INSERT INTO every VALUES (1, -7, 9007199254740993, true, 1.5, 0.1, 1234567890123456789.000000001, 12345.678,
        '2024-02-29', '1890-05-01 12:34:56.7', '1890-05-01 12:00:00.000001+02', '\\xdeadbeef', '{"a": 1}', '00000000-0000-0000-0000-000000000001',
        '[2024-05-01 00:00+00,)', '10:00', 'glad', '{sad,NULL,glad}', 'S', '{1,NULL,3}', '{1.5,2.250}', 'x', 'it''s', 'ab', '{1.5}', '{"\\\\x00ff"}', B'101',
        3000000000, 12.5, '1 year 2 days', '{2024-05-01 12:00:00+02}')"""
    )
    connection.execute("INSERT INTO every DEFAULT VALUES")
    connection.execute('CREATE TABLE "Odd table" (a int); INSERT INTO "Odd table" VALUES (1)')
    total = 0
    for number, table in enumerate(
        ["every", "film", "public.staff", "payment", "customer_list", "Odd table", "SELECT 1 AS one, now() IS NULL AS no"]
    ):
        asked = {"query" if " AS " in table else "table": table}
        (expected,) = taken(cd.database(shop["psycopg"], **asked), spark, tmp_path / f"{number}")
        (found,) = taken(cd.database(jdbc(shop), **asked), spark, tmp_path / f"{number}j")
        assert found.schema.remove_metadata() == expected.schema.remove_metadata(), table
        assert found.schema.metadata == expected.schema.metadata  # the notes of what is kept as text
        assert in_order(found) == in_order(expected), table
        total += found.num_rows
    assert total > 16_049 + 1000
    assert found.schema.field("one").type == pa.int32()
    parts = taken(cd.database(jdbc(shop), table="payment", key="payment_id", parallel=3), spark, tmp_path / "parts")
    (whole,) = taken(cd.database(shop["psycopg"], table="payment", key="payment_id"), spark, tmp_path / "whole")
    assert len(parts) == 3
    assert pa.concat_tables(parts).to_pylist() == whole.to_pylist()


def test_only_what_changed_is_asked_for_whatever_the_watermark_is(shop, spark, tmp_path):
    connection = shop["connection"]
    connection.execute(f"ALTER DATABASE {shop['name']} SET log_statement = 'all'".encode())
    connection.execute(
        "CREATE TABLE grown AS SELECT n AS id, n::bigint AS number, date '2024-01-01' + n AS day, n::numeric(6,2) AS cost,"
        " timestamptz '2024-03-31 00:00+00' + n * interval '1 hour' AS at FROM generate_series(1, 50) n"
    )
    asked = {
        "number": (5, '"number" >= 45'), "day": ("2 days", "\"day\" >= '2024-02-18'"), "cost": (5, '"cost" >= 45.00'),
        "at": ("5 hours", "\"at\" >= '2024-04-01 21:00:00.0'"),
    }  # fmt: skip
    engine, seen = Engine(lambda: spark, tmp_path / "room"), {name: {} for name in asked}

    def came(name, at):
        source = cd.database(jdbc(shop), table="grown", watermark=name, overlap=asked[name][0], key="id")
        ids = []
        for one in arrivals(source, data=None, scratch=tmp_path, landed=seen[name], clock=lambda: at, engine=engine):
            stored = one.local.rename(tmp_path / f"{name} {at} {one.name}")
            seen[name][one.path] = KnownFile(one.etag, one.modified_ns, one.bytes, stored.name, stored)
            ids += pq.read_table(stored)["id"].to_pylist()
        return ids

    for name in asked:
        assert came(name, 1e9) == list(range(1, 51))
        assert came(name, 1e9 + 1) == []
    connection.execute(
        "INSERT INTO grown VALUES (51, 60, '2024-03-01', 60, '2024-05-01'), (52, 46, '2024-02-18', 46, '2024-04-01 22:00+00'), (53, NULL, NULL, NULL, NULL), "
        "(54, 1, '2024-01-02', 1, '2024-03-31 01:00+00'); UPDATE grown SET number = 48 WHERE id = 49"
    )
    log = (shop["server"].folder / "log").read_text()
    for name, (_, said) in asked.items():
        assert came(name, 1e9 + 2) == [49, 51, 52, 53], name  # not 54, which came too late
        assert said in log, name
    connection.execute(f"ALTER DATABASE {shop['name']} RESET log_statement".encode())


def test_what_does_not_go_is_told_without_the_password(shop, spark, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "BACKOFF_S", 0.01)
    url, connection = jdbc(shop), shop["connection"]
    connection.execute("CREATE ROLE bare LOGIN; CREATE TABLE odd (id int, cost numeric(5,2), at timestamptz)")
    connection.execute("INSERT INTO odd VALUES (1, 'NaN', 'infinity')")
    for source, kind, said in (
        (cd.database(url, table="rentals"), SourceProblem, r"has no table 'rentals'\. Did you mean 'rental'"),
        (cd.database(url, table="publik.rental"), SourceProblem, r"has no schema 'publik'.*Did you mean 'public'"),
        (cd.database(url, table="rental", key="rentalid"), SourceProblem, r"no column 'rentalid', its declared key\. Did you mean 'rental_id'"),
        (cd.database(url, query="SELECT nothing FROM rental"), SourceProblem, r"'query' at .* cannot be read: ERROR: column \"nothing\""),
        (cd.database(url, table="customer", key="email", parallel=2), SourceProblem, "its key 'email' is no number"),
        (cd.database(url, query="SELECT 1 / (id - 1) AS x FROM odd"), SourceProblem, "'query' at .* cannot be read: ERROR: division by zero"),
        (cd.database(url, query="SELECT cost FROM odd"), SourceProblem, "'query' at .* cannot be read: .*NaN"),
        (cd.database(url, query="SELECT at FROM odd"), SourceProblem, "'query' at .* cannot be read: .*infinity in column at"),
        (cd.database(url, query="SELECT at::timestamp FROM odd"), SourceProblem, "'query' at .* cannot be read: .*overflow.*NULLIF"),
        (cd.database(url, table="odd", watermark="at"), SourceProblem, "an infinite time in 'at', its declared watermark"),
        (cd.database(jdbc(shop, user="bare"), table="rental"), SourceProblem, "may not be read: .*permission denied"),
        (cd.database(jdbc(shop, user="guarded"), table="rental"), SourceProblem, "refuses this user"),
        (cd.database(jdbc(shop, database="shopp"), table="rental"), SourceProblem, "cannot be opened: .*\"shopp\" does not exist"),
        (cd.database(jdbc(shop, port=1), table="rental"), EnvironmentProblem, "does not answer: Connection to 127.0.0.1:1 refused"),
    ):  # fmt: skip
        with pytest.raises(kind, match=said) as raised:
            taken(source, spark, tmp_path / "x")
        assert type(raised.value) is kind
        assert "hunter2" not in f"{raised.value} {raised.value.as_dict()}"
    (found,) = taken(cd.database(jdbc(shop, user="guarded", password=PASSWORD), table="rental"), spark, tmp_path / "y")
    assert found.num_rows == 16_044


def test_drivers_are_known_named_or_refused(shop, spark, tmp_path):
    for said, more in (
        ("caudal knows no driver for 'jdbc:h2:mem:x'.*group:artifact:version", {"url": "jdbc:h2:mem:x;PASSWORD=hunter2"}),
        ("'org.h2.Driver' names no driver", {"url": "jdbc:h2:mem:x", "driver": "org.h2.Driver"}),
        ("takes no driver", {"url": "sqlite:///x.db", "driver": "org.xerial:sqlite-jdbc:3.46.0.0"}),
    ):
        with pytest.raises(DeclarationProblem, match=said) as raised:
            cd.database(table="t", **more)
        assert "hunter2" not in str(raised.value)
    with zipfile.ZipFile(tmp_path / "empty.jar", "w") as jar:
        jar.writestr("nothing.txt", "")
    with zipfile.ZipFile(tmp_path / "wrong.jar", "w") as jar:
        jar.writestr("META-INF/services/java.sql.Driver", "org.postgresql.Driver # the class is in another jar\n")
    with pytest.raises(SourceProblem, match=r"'empty.jar' holds no JDBC driver"):
        taken(cd.database(jdbc(shop), table="rental", driver=str(tmp_path / "empty.jar")), spark, tmp_path / "x")
    with pytest.raises(SourceProblem, match=r"org.postgresql.Driver does not know the address 'jdbc:h2:mem:x'"):
        taken(cd.database("jdbc:h2:mem:x", table="rental", driver=str(tmp_path / "wrong.jar")), spark, tmp_path / "x")


def table(settings, name):
    return arrow(delta.read_version(Home(settings.home.absolute()).table("shop", name))).to_pylist()


def in_database(connection, query):
    asked = connection.execute(query)
    names = [one.name for one in asked.description]
    return sorted((dict(zip(names, row, strict=True)) for row in asked), key=repr)


def without(rows):
    return sorted(({name: value for name, value in row.items() if not name.startswith("_")} for row in rows), key=repr)


def states(result):
    assert result.error is None, result.error
    return {one["step"]: one["state"] for one in result.document["steps"]}


def test_a_product_follows_its_database_whatever_stops(shop, spark, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "BACKOFF_S", 0.01)
    monkeypatch.setenv("SHOP_DB", jdbc(shop, user="guarded", password=PASSWORD))
    connection = shop["connection"]
    folder, settings = tmp_path / "shop", Settings(home=tmp_path / "home")
    folder.mkdir()
    (folder / "product.py").write_text(PRODUCT.replace("partition=", "trigger=cd.on_arrival(), partition=", 1))
    (problem,) = check_product(folder, settings, static=True)
    assert "with a JDBC driver" in str(problem)
    (folder / "product.py").write_text(PRODUCT)
    assert check_product(folder, settings) == []

    assert set(states(run(folder, settings)).values()) == {"succeeded"}
    assert without(table(settings, "rentals")) == in_database(connection, "SELECT * FROM rental")
    film = (
        "SELECT film_id, title, description, release_year, language_id, original_language_id, rental_duration, rental_rate, length, replacement_cost, rating,"
        " last_update, special_features, fulltext::text FROM film"
    )
    assert without(table(settings, "films")) == in_database(connection, film)
    assert set(states(run(folder, settings)).values()) == {"skipped"}

    late = "(SELECT max(last_update) FROM rental WHERE last_update < '2030-01-01') - interval '5 minutes'"
    connection.execute(
        f"INSERT INTO rental (rental_id, rental_date, inventory_id, customer_id, staff_id, last_update) SELECT 100001, '2005-06-01', 1, 1, 1, {late}".encode()
    )
    connection.execute(
        "UPDATE rental SET return_date = '2030-01-01', last_update = '2030-01-01' WHERE return_date IS NULL AND rental_id % 2 = 0"
    )
    connection.execute(
        "UPDATE rental SET rental_date = rental_date + interval '40 days', last_update = '2030-01-01' WHERE rental_id IN (100, 9000)"
    )
    for name in ("rental", "film"):
        connection.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = off)".encode())

    # The server is stopped when it has been asked what there is and not yet for the rows, and stays away: nothing is landed.
    before = _landed(settings)
    usual = extracting._write_rows

    def stopped(*said):
        if shop["server"].running:
            shop["server"].stop()
        return usual(*said)

    monkeypatch.setattr(extracting, "_write_rows", stopped)
    broken = run(folder, settings)
    monkeypatch.setattr(extracting, "_write_rows", usual)
    shop["server"].start()
    assert isinstance(broken.error, EnvironmentProblem)
    assert "env:SHOP_DB does not answer" in str(broken.error)
    assert _landed(settings) == before

    # It is stopped while Spark reads.
    slow = "SELECT n, pg_sleep(0.005)::text FROM generate_series(1, 4000) n"
    killer = threading.Timer(2.0, shop["server"].stop)
    killer.start()
    with pytest.raises(EnvironmentProblem, match="does not answer"):
        taken(cd.database(jdbc(shop), query=slow), spark, tmp_path / "slow")
    killer.join()
    shop["server"].start()
    connection = shop["connection"] = psycopg.connect(shop["psycopg"].replace("+psycopg", ""), autocommit=True)

    told = states(run(folder, settings))
    assert (told["read:rentals"], told["table:open_rentals"], told["read:films"]) == ("succeeded", "succeeded", "skipped")
    assert len(_landed(settings)) - len(before) <= 3
    assert without(table(settings, "rentals")) == in_database(connection, "SELECT * FROM rental")
    assert without(table(settings, "open_rentals")) == in_database(
        connection, "SELECT rental_id, rental_date FROM rental WHERE return_date IS NULL"
    )
    assert set(states(run(folder, settings)).values()) == {"skipped"}
    for file in [path for path in settings.home.rglob("*") if path.is_file()]:
        content = file.read_bytes()
        assert b"hunter2" not in content, file
    assert not list((settings.home / "fetched").rglob("*.parquet"))


def _landed(settings):
    ledger = Home(settings.home).ledger()
    rows = ledger.find(landed)
    ledger.close()
    return sorted(row["path"] for row in rows)


@pytest.mark.slow
def test_another_database_by_a_driver_of_the_user_s_with_the_lake_on_s3(tmp_path, s3_server):
    """In a process of its own: drivers have to be there when Spark starts. Its time zone is one in which some times do not exist."""
    lake = f"s3://{s3_server.bucket()}/lake"
    command = [sys.executable, str(Path(jdbc_elsewhere.__file__)), str(tmp_path), lake]
    environment = {**os.environ, **s3_server.environ, "TZ": "Europe/Berlin", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = zygote.run(command, capture_output=True, text=True, timeout=400, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["first"] == {
        "sales": [[1, "a", "12.50", "2024-03-31 02:30:00"], [2, "b", None, None]],
        "shops": [["north", "10:00:00"]],
    }
    assert said["again"] == ["skipped"]
    assert said["second"]["sales"] == [
        [1, "A", "12.50", "2024-04-01 00:00:00"],
        [2, "b", None, None],
        [3, "c", "1.00", "2024-03-31 02:59:59"],
    ]
    assert said["left"] == []
