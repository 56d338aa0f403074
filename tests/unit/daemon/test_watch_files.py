"""Files that arrive: whole, once, again when they change; those that are being written wait."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

import caudal as cd
from caudal.daemon.events import record_events, settle, take_events
from caudal.daemon.watchers.files import FileWatcher, Waker
from caudal.stages.ingest import Arrival
from caudal.tables.home import Home
from caudal.tables.landing import land


class Clock:
    """A clock that is set."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def place(tmp_path):
    """A folder, its watcher, the ledger and a clock."""
    (tmp_path / "in").mkdir()
    product = cd.Product("p")
    source = product.source("s", cd.files("in/*.csv"), trigger=cd.on_arrival())
    home, clock = Home(tmp_path / "home"), Clock()
    ledger = home.ledger()
    watcher = FileWatcher("p", source, tmp_path, 2.0, clock)

    def look():
        seen = watcher.look(ledger)
        new = record_events(ledger, seen.events)
        watcher.recorded(seen.events)
        return [Path(one.subject).name for one in new], seen.again_s

    yield tmp_path / "in", look, clock, ledger, home
    ledger.close()


def write(folder, name, text="a\n1\n", at=None):
    path = folder / name
    path.write_text(text)
    if at is not None:
        os.utime(path, (at, at))
    return path


def test_a_file_waits_until_it_has_rested(place):
    folder, look, clock, *_ = place
    write(folder, "a.csv", at=clock.now)
    names, again_s = look()
    assert names == []
    assert again_s == pytest.approx(2.0, abs=0.1)
    clock.now += 1.5
    write(folder, "a.csv", "a\n1\n2\n", at=clock.now)  # it grows
    assert look()[0] == []
    clock.now += 2.1
    assert look() == (["a.csv"], None)
    assert look() == ([], None)


def test_a_rename_is_an_arrival_and_what_is_in_the_making_is_none(place):
    folder, look, clock, *_ = place
    for name in (".b.csv", "b.csv.part", "b.csv.tmp"):
        write(folder, name, at=clock.now - 60)
    assert look()[0] == []
    (folder / "b.csv.part").rename(folder / "b.csv")
    assert look()[0] == ["b.csv"]


def test_a_file_that_changes_is_an_event_again_and_one_that_is_landed_none(place):
    folder, look, clock, ledger, home = place
    path = write(folder, "a.csv", at=clock.now - 100)
    stat = path.stat()
    land([Arrival(str(path), path, stat.st_size, stat.st_mtime_ns)], home, ledger, product="p", source="s", run_id="r")
    assert look()[0] == []
    write(folder, "a.csv", "a\n2\n", at=clock.now - 50)
    assert look()[0] == ["a.csv"]
    write(folder, "a.csv", "a\n1\n", at=clock.now - 10)
    assert look()[0] == ["a.csv"]


def test_a_content_that_comes_back_with_its_old_time_is_an_event_again(place):
    folder, look, clock, ledger, home = place
    for turn, content in enumerate(("a\n1\n", "a\n2\n", "a\n1\n", "a\n2\n")):
        at = clock.now - (100 if content == "a\n1\n" else 50)
        path = write(folder, "a.csv", content, at=at)
        assert look()[0] == ["a.csv"], f"time {turn}"
        assert look()[0] == []
        stat = path.stat()
        land([Arrival("in/a.csv", path, stat.st_size, stat.st_mtime_ns)], home, ledger, product="p", source="s", run_id=f"r{turn}")
        assert look()[0] == []


def test_a_broken_file_is_an_event_so_that_it_is_told_and_hides_no_other(place):
    folder, look, clock, *_ = place
    write(folder, "broken.csv", "", at=clock.now - 100)
    write(folder, "good.csv", at=clock.now - 100)
    assert "good.csv" in look()[0]


def test_a_folder_that_is_not_there_yet_is_no_end(place):
    folder, look, clock, *_ = place
    folder.rmdir()
    assert look()[0] == []
    folder.mkdir()
    write(folder, "a.csv", at=clock.now - 10)
    assert look()[0] == ["a.csv"]


def test_watchdog_wakes_for_changes_and_not_for_looks(tmp_path):
    rung = threading.Event()
    (tmp_path / "a.csv").write_text("1")
    with Waker(rung.set) as waker:
        waker.watch([(tmp_path, False), (tmp_path / "later", False)])
        (tmp_path / "a.csv").read_text()
        assert not rung.wait(0.7)
        (tmp_path / "b.csv").write_text("1")
        assert rung.wait(5)
        (tmp_path / "later").mkdir()
        waker.watch([(tmp_path / "later", False)])
        time.sleep(0.3)
        rung.clear()
        (tmp_path / "later" / "c.csv").write_text("1")
        assert rung.wait(5)


def test_a_file_that_went_while_its_run_failed_is_told_of_once(place):
    folder, look, clock, ledger, _ = place
    write(folder, "bad.csv", at=clock.now - 5)
    write(folder, "good.csv", at=clock.now - 5)
    assert look()[0] == ["bad.csv", "good.csv"]
    assert len(take_events(ledger, "p", "daemon", "r1", clock.now)) == 2
    (folder / "bad.csv").unlink()  # before any look at the folder since
    settle(ledger, "r1", "failed")
    source = cd.Product("p").source("s", cd.files("in/*.csv"), trigger=cd.on_arrival())
    watcher = FileWatcher("p", source, folder.parent, 2.0, clock)
    assert [watcher.look(ledger).mended for _ in range(3)] == [True, False, False]
    write(folder, "bad.csv", at=clock.now - 5)
    assert not watcher.look(ledger).mended
    (folder / "bad.csv").unlink()
    assert watcher.look(ledger).mended
