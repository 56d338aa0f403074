"""What is newest is told by the order of landing and of runs in the ledger, whatever the clock says."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from caudal.errors import NotThere
from caudal.ledger.ledger import open_ledger
from caudal.ledger.migrations.upgrade import config, exclusive_transaction
from caudal.ledger.records import counters, landed, runs, steps
from caudal.tables import landing
from caudal.tables.home import Home
from caudal.tables.landing import current, land
from caudal.tables.resolve import version_of_run
from caudal.tables.versions import in_order, superseded


@dataclass(frozen=True)
class File:
    path: str
    local: Path
    bytes: int
    modified_ns: int
    etag: str | None = None


@pytest.fixture
def home(tmp_path, ledger_url):
    return Home(tmp_path / "home", ledger_url)


@pytest.fixture
def ledger(home):
    opened = home.ledger()
    yield opened
    opened.close()


def deliver(home, ledger, file: Path, content: str, modified_ns: int | None = None) -> None:
    file.write_text(content)
    if modified_ns is not None:
        os.utime(file, ns=(modified_ns, modified_ns))
    stat = file.stat()
    land([File(str(file), file, stat.st_size, stat.st_mtime_ns)], home, ledger, product="p", source="s", run_id="r")


def contents(home, ledger, changed="replace") -> list[str]:
    files = current(home, ledger, product="p", source="s", changed=changed)
    return sorted(file.stored.read_text() for file in files)


@pytest.mark.parametrize("seed", range(3))
def test_the_content_that_landed_last_counts_whatever_the_clock_says(home, ledger, tmp_path, monkeypatch, seed):
    chance = random.Random(seed)
    clock = time.time
    for number in range(12):
        off_s = chance.choice([-86_400 * 400, -3600, 0, 3600, 86_400 * 400])
        monkeypatch.setattr(landing.time, "time", lambda off_s=off_s: clock() + off_s)
        content = f"{chance.randrange(4)}" * 3  # contents come again, under the same time of change too
        deliver(home, ledger, tmp_path / "a.csv", content, (number + 1) * 10**9)
        assert contents(home, ledger) == [content]


def test_an_old_content_that_is_put_back_with_its_old_time_is_the_newest_again(home, ledger, tmp_path):
    file = tmp_path / "a.csv"
    for content, seconds in (("first", 100), ("other", 200), ("first", 100)):
        deliver(home, ledger, file, content, seconds * 10**9)
        assert contents(home, ledger) == [content]


def test_old_runs_and_landings_are_numbered_by_the_times_that_they_have(tmp_path):
    url = f"sqlite:///{tmp_path}/l.db"
    engine = create_engine(url)
    from alembic import command

    with exclusive_transaction(engine) as connection:
        command.upgrade(config(connection), "0004")
    run = "INSERT INTO runs (run_id, product, command, state, started_at) VALUES ('{}', 'p', 'run', 'succeeded', {})"
    file = (
        "INSERT INTO landed (product, source, path, sha256, bytes, modified_ns, landed_at, run_id, kind) "
        "VALUES ('p', 's', 'a', '{}', 1, 1, {}, 'r', 'data')"
    )
    with engine.begin() as connection:
        for name, at in (("later", 20.0), ("earlier", 10.0)):
            connection.execute(text(run.format(name, at)))
            connection.execute(text(file.format(name, at)))
    engine.dispose()
    ledger = open_ledger(url)
    assert [row["run_id"] for row in ledger.find(runs)] == ["earlier", "later"]
    assert [(row["sha256"], row["seq"]) for row in ledger.find(landed)] == [("earlier", 1), ("later", 2)]
    ledger.add(runs, {"run_id": "new", "product": "p", "command": "run", "state": "running", "started_at": 0.0})
    last = ledger.last_run("p")
    assert last is not None
    assert (last["run_id"], last["seq"]) == ("new", 3)
    assert {row["name"]: row["value"] for row in ledger.find(counters)} == {"landed": 2, "runs": 3}
    ledger.close()


def test_the_last_run_and_the_table_as_a_run_left_it_go_by_the_order_of_runs(ledger):
    for number, (run, at) in enumerate((("20260301T000000-b", 2.0), ("20260101T000000-a", 1.0), ("20260201T000000-c", 1.5))):
        ledger.add(runs, {"run_id": run, "product": "p", "command": "run", "state": "succeeded", "started_at": at})
        ledger.add(
            steps,
            {
                "run_id": run,
                "product": "p",
                "step": "table:t",
                "kind": "table",
                "name": "t",
                "state": "succeeded",
                "output_version": number,
            },
        )
    last = ledger.last_run("p")
    assert last is not None
    assert last["run_id"] == "20260201T000000-c"
    assert [version_of_run(ledger, "p", "t", row["run_id"]) for row in ledger.find(runs)] == [0, 1, 2]
    with pytest.raises(NotThere, match="Runs are: 20260301T000000-b, 20260101T000000-a, 20260201T000000-c"):
        version_of_run(ledger, "p", "t", "20270101T000000-z")


def test_of_a_row_that_came_twice_the_one_that_landed_last_counts(home, ledger, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, value in (("2026.parquet", 1), ("2025.parquet", 2)):  # the names go back, as the clock did
        pq.write_table(pa.table({"path": ["x"], "value": [value]}), tmp_path / name)
        stat = (tmp_path / name).stat()
        arrival = File(f"images:folder/{name}", tmp_path / name, stat.st_size, stat.st_mtime_ns)
        land([arrival], home, ledger, product="p", source="s", run_id="r")
    files = current(home, ledger, product="p", source="s")
    assert [file.name for file in in_order(files)] == ["2026.parquet", "2025.parquet"]
    assert superseded(files, "path") == [(in_order(files)[0].segment, "x")]
