"""Images that arrive, in a folder and in a real S3: few events however many come, none lost, none told twice."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

import caudal as cd
from caudal.daemon.daemon import watchers_of
from caudal.daemon.events import record_events, settle, take_events
from caudal.daemon.watchers import images as watch_images
from caudal.daemon.watchers.images import ImageWatcher
from caudal.graph.check import check
from caudal.ledger.records import events
from caudal.stages.ingest import KnownFile, arrivals
from caudal.tables.home import Home
from caudal.tables.landing import land

pytest.importorskip("PIL")


class World:
    """A product with images, its ledger, and what a run would do: land."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self.folder, self.now, self.home = folder, time.time(), Home(folder / "home")
        self.ledger, self.runs = self.home.ledger(), 0
        self.product = cd.Product("p")
        self.source = self.product.source("s", cd.images(pattern, required=False), trigger=cd.on_arrival())
        assert check(self.product) == []
        self.watcher = self.begin()

    def begin(self) -> ImageWatcher:
        """Return the watcher of a daemon that begins."""
        (watcher,) = watchers_of(self.product, self.home, self.folder, 2.0)
        assert isinstance(watcher, ImageWatcher)
        watcher._clock = lambda: self.now
        self.watcher = watcher
        return watcher

    def look(self) -> list[str]:
        """Return what was noted, and settle nothing."""
        self.watcher._rests_until = 0.0
        seen = self.watcher.look(self.ledger)
        new = record_events(self.ledger, seen.events)
        self.watcher.recorded(seen.events)
        return [seen.trouble] if seen.trouble else [f"{one.detail['images']} {one.subject.rpartition('/')[2]}" for one in new]

    def run(self, before_land: Any = lambda: None) -> int:
        """Take the events that wait, land what is there and settle them; returns how many images landed."""
        self.runs += 1
        taken = take_events(self.ledger, "p", "daemon", f"run-{self.runs}", self.now)
        before_land()
        rows = self.ledger.find(watch_images.landed, product="p", source="s")
        raw = self.home.raw("p", "s")
        seen = {
            row["path"]: KnownFile(None, row["modified_ns"], row["bytes"], row["sha256"], watch_images.store_path(raw, row["sha256"], row["path"]))
            for row in rows
        }  # fmt: skip
        scratch = self.folder / "scratch" / str(self.runs)
        found = arrivals(self.source.connection, data=self.folder, scratch=scratch, landed=seen, clock=lambda: self.now)
        land(found, self.home, self.ledger, product="p", source="s", run_id=f"run-{self.runs}")
        import pyarrow.parquet as pq

        assert settle(self.ledger, f"run-{self.runs}", "done") == len(taken)
        return sum(pq.read_metadata(one.local).num_rows for one in found)


def drop(world: World, *names: str, content: bytes = b"no image", age_s: float = 100.0) -> None:
    for name in names:
        path = world.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (world.now - age_s, world.now - age_s))


@pytest.fixture
def world(tmp_path: Path) -> Any:
    (tmp_path / "in" / "apple").mkdir(parents=True)
    made = World(tmp_path, "in/*/*.jpg")
    yield made
    made.ledger.close()


@pytest.mark.slow
def test_thousands_at_once_are_one_event_and_what_comes_later_another(world: World) -> None:
    drop(world, *(f"apple/{number:05}.jpg" for number in range(3000)))
    began = time.monotonic()
    assert world.look() == ["3000 02999.jpg"]
    assert world.look() == []
    assert time.monotonic() - began < 20
    drop(world, "apple/later.jpg")
    assert world.look() == []  # the event that waits will have a run that finds it
    # While the run is at work another comes, which needs an event of its own, and its run finds nothing if the first took it along.
    assert world.run(lambda: (drop(world, "apple/while.jpg"), world.look())) == 3002
    assert [row["detail"]["images"] for row in world.ledger.find(events)] == [3000, 1]
    assert world.run() == 0
    assert world.look() == []
    assert {row["state"] for row in world.ledger.find(events)} == {"done"}
    assert world.watcher.places() == [(world.folder / "in", True)]


def test_what_is_being_written_waits_and_holds_the_others_back_for_a_while(world: World) -> None:
    drop(world, "apple/a.jpg")
    drop(world, "apple/b.jpg", age_s=0.0)
    assert world.look() == []
    world.now += watch_images.GATHER_S - 1
    drop(world, "apple/b.jpg", age_s=0.0)
    assert world.look() == []
    world.now += 1.5
    drop(world, "apple/b.jpg", age_s=0.0)
    assert world.look() == ["1 a.jpg"]  # one that is never finished does not hold all others back
    assert world.run() == 2  # a run without a daemon's patience takes what is there
    drop(world, "apple/b.jpg", content=b"another", age_s=0.0)
    assert world.look() == []
    world.now += 2.5
    assert world.look() == ["1 b.jpg"]


def test_a_daemon_that_begins_again_tells_no_more_than_once_more_and_a_change_is_told(world: World) -> None:
    drop(world, "apple/a.jpg", "apple/b.jpg")
    assert world.look() == ["2 b.jpg"]
    world.begin()
    assert world.look() == []  # it waits
    assert take_events(world.ledger, "p", "another", "run-of-another", world.now)
    world.begin()
    assert world.look() == []  # the same images: the same event
    drop(world, "apple/c.jpg")
    assert world.look() == ["1 c.jpg"]
    settle(world.ledger, "run-of-another", "done")
    assert world.run() == 3
    for content in (b"other bytes", b"no image"):  # and back to what it was
        world.now += 10
        drop(world, "apple/a.jpg", content=content, age_s=5.0)
        assert world.look() == ["1 a.jpg"]
        assert world.run() == 1
    world.begin()
    assert world.look() == []  # packs tell which are known


def test_an_image_that_comes_back_with_its_old_time_is_told_again(world: World) -> None:
    for content, age_s in ((b"one image", 100.0), (b"two image", 50.0), (b"one image", 100.0), (b"two image", 50.0)):
        drop(world, "apple/a.jpg", content=content, age_s=age_s)
        assert world.look() == ["1 a.jpg"]
        assert world.run() == 1


def test_a_look_rests_after_a_long_one_and_an_absent_folder_is_told(world: World) -> None:
    drop(world, "apple/a.jpg")
    assert world.look() == ["1 a.jpg"]
    world.watcher._rests_until = time.monotonic() + 5
    seen = world.watcher.look(world.ledger)
    assert seen.events == []
    assert 4 < (seen.again_s or 0) <= 5
    world.product.sources.clear()
    absent = World(world.folder, "nowhere/*/*.png")
    assert absent.look() == []
    absent.watcher._connection = cd.images("nowhere/*/*.png")
    assert "does not exist" in absent.look()[0]
    absent.ledger.close()


@pytest.mark.slow
def test_objects_are_listed_and_a_server_that_is_away_is_told(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    bucket = s3.bucket()
    world = World(tmp_path, f"s3://{bucket}/in/*/*.jpg")
    assert world.watcher.places() == []
    assert world.look() == []
    for number in range(3):
        s3.put(bucket, f"in/apple/{number}.jpg", b"no image")
    assert world.look() == ["3 2.jpg"]
    assert world.run() == 3
    s3.put(bucket, "in/apple/1.jpg", b"other bytes")
    assert world.look() == ["1 1.jpg"]
    assert world.run() == 1
    s3.put(bucket, "in/apple/1.jpg", b"other bytes")  # the same again: its checksum is known
    assert world.look() == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "could not be read in 1 attempt" in world.look()[0]
    monkeypatch.undo()
    world.ledger.close()
