"""Rows that arrive in a real PostgreSQL: each growth once, late rows too, and a server that is away for a while."""

from __future__ import annotations

import psycopg
import pytest

import caudal as cd
from caudal.daemon.daemon import watchers_of
from caudal.daemon.events import record_events
from caudal.daemon.watchers.rows import RowWatcher
from caudal.errors import DeclarationProblem
from caudal.graph.check import check
from caudal.tables.home import Home


@pytest.fixture
def shop(postgres_url, tmp_path):
    """A table, and what a look at it shows that is new to the ledger."""
    product = cd.Product("p")
    asked = cd.database(postgres_url, table="sale", watermark="at", overlap="10 minutes", key="id")
    product.source("sales", asked, trigger=cd.on_arrival())
    home = Home(tmp_path / "home")
    ledger = home.ledger()

    def watcher():
        (found,) = watchers_of(product, home, tmp_path, 2.0)
        assert isinstance(found, RowWatcher)
        return found

    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE sale (id int PRIMARY KEY, at timestamp)")
        yield connection, watcher, ledger
    ledger.close()


def test_each_growth_is_told_once(shop):
    connection, watcher, ledger = shop
    one = watcher()

    def look(of=one):
        seen = of.look(ledger)
        new = record_events(ledger, seen.events)
        of.recorded(seen.events)
        return [event.subject for event in new]

    assert look() == []  # no row, no watermark
    connection.execute("INSERT INTO sale VALUES (1, '2024-01-01 10:00')")
    assert look() == ["sale up to 2024-01-01 10:00:00"]
    assert look() == []
    assert look(watcher()) == []  # a daemon that begins again knows it from the ledger
    connection.execute("INSERT INTO sale VALUES (2, '2024-01-01 09:55')")  # late, within the overlap
    assert look() == ["sale up to 2024-01-01 10:00:00"]
    connection.execute("INSERT INTO sale VALUES (3, '2023-12-01 09:55')")  # too late: no extraction would bring it
    assert look() == []
    connection.execute("UPDATE sale SET at = '2024-01-02' WHERE id = 1")
    assert look() == ["sale up to 2024-01-02 00:00:00"]


def test_a_database_that_says_no_is_told_of(shop):
    connection, watcher, ledger = shop
    one = watcher()
    connection.execute("ALTER TABLE sale RENAME TO gone")
    assert "sale" in one.look(ledger).trouble
    connection.execute("ALTER TABLE gone RENAME TO sale")
    assert one.look(ledger).trouble is None


def test_without_a_watermark_nothing_tells_of_rows():
    product = cd.Product("p")
    product.source("sales", cd.database("sqlite:///x.db", table="sale"), trigger=cd.on_arrival())
    (problem,) = check(product)
    assert isinstance(problem, DeclarationProblem)
    assert "watermark=" in problem.sentence()
