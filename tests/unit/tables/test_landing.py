"""Landing: byte for byte, by content, once."""

from __future__ import annotations

import contextlib
import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.servers.places import place_of

from caudal.errors import SourceProblem
from caudal.tables.home import Home
from caudal.tables.landing import current, land


@dataclass(frozen=True)
class File:
    path: str
    local: Path
    bytes: int
    modified_ns: int
    etag: str | None = None


def arrival(path: Path) -> File:
    told = path.stat()
    return File(str(path), path, told.st_size, told.st_mtime_ns)


@pytest.fixture(params=["sqlite", "postgresql", "s3", "hdfs"])
def place(tmp_path, request):
    ledger_url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    remote = place_of(request.param, request) if request.param in ("s3", "hdfs") else None
    home = Home(tmp_path / "home", ledger_url, remote)
    ledger = home.ledger()

    def work(*paths):
        return land([arrival(path) for path in paths], home, ledger, product="p", source="s", run_id="r")

    def now(changed="replace"):
        return current(home, ledger, product="p", source="s", changed=changed)

    yield work, now
    ledger.close()


def test_bytes_are_kept_as_they_came_and_cannot_be_written(place, tmp_path):
    work, _ = place
    origin = tmp_path / "a.csv"
    origin.write_bytes(b"\xff\x00raw\r\n")
    (file,) = work(origin)
    assert file.stored.read_bytes() == b"\xff\x00raw\r\n"
    assert file.sha256 == hashlib.sha256(b"\xff\x00raw\r\n").hexdigest()
    assert not isinstance(file.stored, Path) or not stat.S_IMODE(file.stored.stat().st_mode) & stat.S_IWUSR


def test_a_known_file_is_not_landed_again_nor_is_its_copy(place, tmp_path):
    work, now = place
    origin, copy = tmp_path / "a.csv", tmp_path / "b.csv"
    origin.write_text("x")
    copy.write_text("x")
    assert [one.new for one in work(origin)] == [True]
    assert [one.new for one in work(origin)] == [False]
    work(copy)
    assert len(now()) == 1  # the same bytes count once


def test_a_changed_file_takes_the_place_of_the_old_one_and_both_are_kept(place, tmp_path):
    work, now = place
    origin = tmp_path / "a.csv"
    origin.write_text("old")
    (old,) = work(origin)
    origin.write_text("newer")
    (new,) = work(origin)
    assert [one.sha256 for one in now()] == [new.sha256]
    assert {one.sha256 for one in now("append")} == {old.sha256, new.sha256}
    assert old.stored.read_text() == "old"


def test_a_file_larger_than_what_is_sent_at_once_arrives_whole(place, tmp_path):
    work, _ = place
    origin = tmp_path / "large.csv"
    block = b"0123456789abcdef" * (1 << 16)
    origin.write_bytes(b"".join(block for _ in range(24)))
    (file,) = work(origin)
    with file.stored.open("rb") as stored:
        assert hashlib.sha256(stored.read()).hexdigest() == file.sha256
    assert not list((tmp_path / "home").rglob(".landing-*"))


def test_a_file_that_vanished_is_named(place, tmp_path):
    work, now = place
    gone = tmp_path / "gone.csv"
    gone.write_text("x")
    file = arrival(gone)
    gone.unlink()
    home = Home(tmp_path / "home")
    with contextlib.closing(home.ledger()) as ledger, pytest.raises(SourceProblem, match="vanished"):
        land([file], home, ledger, product="p", source="s", run_id="r")
    assert now() == []
    assert work() == []
