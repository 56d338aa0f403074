"""``caudal up`` as a user lives with it: files dropped, changed and half written; stopped, killed, started again; days made again."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests import zygote

from caudal.batch.batch import run
from caudal.commands.backfill import backfill, plan_backfill
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, NotThere
from caudal.ledger.records import events, landed, runs, schedules
from caudal.storage import delta
from caudal.tables import changes
from caudal.tables.frames import arrow
from caudal.tables.home import Home

PRODUCT = """
import caudal as cd
from caudal import expect as ex
from pyspark.sql import functions as F
FACTOR = 1
product = cd.Product("shop", tz="Europe/Berlin")
product.source("counts", cd.files("in/*.csv", required=False), schema=cd.schema(at=cd.column("timestamp"), n=cd.column("long")),
               event_time="at", partition="day", trigger=cd.on_arrival(), expect=[ex.between("n", 0, 100).quarantine()])
product.schedule(cd.cron("0 3 * * *", missed="once"))

@product.table(event_time="at", partition="day")
def doubled(counts):
    return counts.withColumn("n", F.col("n") * 2)

@product.table(event_time="at", partition="day", lookback="1 day")
def both_days(doubled):
    return doubled
"""
FOLLOWER = """
import caudal as cd
product = cd.Product("follower")
product.source("empty", cd.files("none/*.csv", required=False), schema=cd.schema(n=cd.column("long")))
product.schedule(cd.on_publish("shop", "doubled"))
"""


class Up:
    """``caudal up`` in a process, and what it says."""

    def __init__(self, *folders: Path, home: Path) -> None:
        self.log = home.parent / f"up-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "caudal", "up", *map(str, folders), "--home", str(home), "--json", "--scan", "2"]
        with self.log.open("w") as out:
            self.process = zygote.start(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "CAUDAL_MEMORY": "1g"})

    def said(self, what: str, count: int = 1, **equal: Any) -> list[dict[str, Any]]:
        """Wait until it has said something so often."""
        until = time.monotonic() + 150
        while time.monotonic() < until:
            lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
            found = [one for one in lines if one["what"] == what and equal.items() <= one.items()]
            if len(found) >= count:
                return found
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"never said {what}: {self.log.read_text()}")

    def stop(self) -> str:
        """Ask it to stop and return all that it said."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(90) == 0
        return self.log.read_text()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two products, the second following the first."""
    for name, text in (("shop", PRODUCT), ("follower", FOLLOWER)):
        (tmp_path / name / "in").mkdir(parents=True)
        (tmp_path / name / "product.py").write_text(text)
    return tmp_path


def drop(place: Path, name: str, *rows: str) -> None:
    (place / "shop" / "in" / name).write_text("\n".join(["at,n", *rows]) + "\n")


def numbers(place: Path, table: str) -> list[tuple[str, int]]:
    found = arrow(delta.read_version(Home(place / "home").table("shop", table))).to_pylist()
    return sorted((row["at"].strftime("%d"), row["n"]) for row in found)


@pytest.mark.slow
def test_a_day_with_the_daemon(place: Path) -> None:
    home = place / "home"
    up = Up(place / "shop", place / "follower", home=home)
    up.said("up")
    # A file in two pieces, with a pause; one in the making; one that is renamed into place.
    with (place / "shop" / "in" / "a.csv").open("w") as out:
        out.write("at,n\n2024-01-01 10:00:00,1\n")
        out.flush()
        time.sleep(1.2)
        out.write("2024-01-02 10:00:00,2\n")
    drop(place, "b.csv.part", "2024-01-03 10:00:00,3")
    up.said("ended", product="shop")
    assert numbers(place, "doubled") == [("01", 2), ("02", 4)]
    followed = up.said("event", product="follower")[0]
    assert followed["subject"] == "shop.doubled version 0"
    up.said("ended", product="follower")
    # A change, and a rename, while nothing is at work.
    drop(place, "a.csv", "2024-01-01 10:00:00,10")
    (place / "shop" / "in" / "b.csv.part").rename(place / "shop" / "in" / "b.csv")
    up.said("event", count=3, product="shop")
    up.said("ended", count=2, product="shop")
    until = time.monotonic() + 60
    while numbers(place, "doubled") != [("01", 20), ("03", 6)] and time.monotonic() < until:
        time.sleep(0.5)
    assert numbers(place, "doubled") == [("01", 20), ("03", 6)]
    told = up.stop()
    assert '"what": "down"' in told
    # While it is away a file comes, and three in the morning passes.
    drop(place, "c.csv", "2024-01-04 10:00:00,4")
    ledger = Home(home).ledger()
    ledger.change(schedules, {"product": "shop"}, until=time.time() - 2.5 * 86400)
    ledger.close()
    up = Up(place / "shop", home=home)
    (missed,) = up.said("event", product="shop", kind="time")
    assert dt.datetime.fromisoformat(missed["subject"]).hour == 3
    up.said("run")
    time.sleep(4)
    up.process.kill()  # in the middle of the run
    up.process.wait()
    up = Up(place / "shop", home=home)
    up.said("ended", product="shop", state="succeeded")
    up.stop()
    assert numbers(place, "doubled") == [("01", 20), ("03", 6), ("04", 8)]
    ledger = Home(home).ledger()
    assert {row["state"] for row in ledger.find(events, product="shop")} == {"done"}
    assert sorted(Path(row["path"]).name for row in ledger.find(landed)) == ["a.csv", "a.csv", "b.csv", "c.csv"]
    assert ledger.find(runs, state="failed") == []
    ledger.close()


@pytest.mark.slow
def test_images_dropped_by_the_hundred_are_a_few_runs_and_each_is_done_once(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    folder, home = tmp_path / "shelf", tmp_path / "home"
    (folder / "in" / "apple").mkdir(parents=True)
    (folder / "product.py").write_text(
        'import caudal as cd\nproduct = cd.Product("shelf")\n'
        'product.source("images", cd.images("in/*/*.jpg", required=False), trigger=cd.on_arrival())\n'
    )

    def drop(*numbers: int) -> None:
        for number in numbers:
            image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(folder / "in" / "apple" / f"{number:04}.jpg")

    up = Up(folder, home=home)
    up.said("up")
    drop(*range(600))
    up.said("run")
    drop(*range(600, 1000))
    up.process.kill()  # with a run at work, and what came meanwhile perhaps not noted
    up.process.wait()
    up = Up(folder, home=home)
    until = time.monotonic() + 150
    while _images(home) < 1000 and time.monotonic() < until:
        time.sleep(0.5)
    drop(1000)
    ledger = Home(home).ledger()
    while (_images(home) < 1001 or {row["state"] for row in ledger.find(events)} != {"done"}) and time.monotonic() < until:
        time.sleep(0.5)
    up.stop()
    names = [row["path"] for row in arrow(delta.read_version(Home(home).table("shelf", "images")), ["path"]).to_pylist()]
    assert len(names) == len(set(names)) == 1001
    noted = ledger.find(events, product="shelf")
    assert {row["state"] for row in noted} == {"done"}
    assert 2 <= len(noted) <= 8, [row["subject"] for row in noted]
    assert len(ledger.find(runs)) <= 8
    assert len(ledger.find(landed)) <= 8  # packs
    ledger.close()


def _images(home: Path) -> int:
    table = Home(home).table("shelf", "images")
    return 0 if delta.version_of(table) is None else delta.read_version(table).rows


def test_days_are_made_again_from_raw_and_no_others(place: Path, spark: Any) -> None:
    folder, settings = place / "shop", Settings(home=place / "home")
    with pytest.raises(NotThere, match="has not run yet"):
        plan_backfill(folder, settings, "2024-01-01", "2024-01-02")
    drop(
        place,
        "a.csv",
        *(f"2024-01-{day:02} 10:00:00,{day}" for day in range(1, 6)),
        "2024-01-02 11:00:00,999",
        "2024-01-04 11:00:00,999",
    )
    drop(place, "b.csv", "2024-01-02 12:00:00,50", "2024-01-09 12:00:00,9")
    assert run(folder, settings).error is None
    told = plan_backfill(folder, settings, "2024-01-02", "2024-01-03")
    assert [(one["table"], one["days"], one["rows"]) for one in (*told["sources"], *told["tables"])] == [
        ("counts", ["2024-01-02", "2024-01-03"], 3),
        ("doubled", ["2024-01-02", "2024-01-03"], 3),
        ("both_days", ["2024-01-02", "2024-01-03", "2024-01-04"], 4),
    ]
    assert [Path(one["path"]).name for one in told["sources"][0]["files"]] == ["a.csv", "b.csv"]
    home = Home((place / "home").absolute())
    before = {name: delta.read_version(home.table("shop", name)) for name in ("counts", "doubled", "both_days")}
    rows = {name: numbers(place, name) for name in before}
    set_aside = arrow(delta.read_version(home.quarantine("shop", "counts"))).to_pylist()
    result = backfill(folder, settings, "2024-01-02", "2024-01-03")
    assert result.error is None
    assert {step["step"] for step in result.document["steps"]} == {"read:counts", "table:doubled", "table:both_days"}
    for name, days in (("counts", {"2024-01-02", "2024-01-03"}), ("doubled", {"2024-01-02", "2024-01-03"}), ("both_days", {"2024-01-02", "2024-01-03", "2024-01-04"})):  # fmt: skip
        assert changes.changed_days(home.table("shop", name), before[name].number, before[name].number + 1) == days
        assert numbers(place, name) == rows[name]
    again = arrow(delta.read_version(home.quarantine("shop", "counts"))).to_pylist()
    assert sorted(map(repr, again)) == sorted(map(repr, set_aside))
    assert run(folder, settings).error is None
    assert delta.version_of(home.table("shop", "doubled")) == before["doubled"].number + 1  # nothing more was to be done


@pytest.mark.parametrize(
    ("first", "last"), [("2024-01-32", "2024-02-01"), ("2024-02-02", "2024-02-01"), ("0001-01-01", "9999-12-31")]
)
def test_what_are_no_days_is_told(place: Path, first: str, last: str) -> None:
    with pytest.raises(DeclarationProblem, match="day"):
        plan_backfill(place / "shop", Settings(home=place / "home"), first, last)
