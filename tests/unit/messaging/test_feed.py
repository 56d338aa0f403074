"""The live feed: numbered, whole, followed by others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from caudal.errors import EnvironmentProblem
from caudal.messaging.feed import Feed

WRITER = """
import sys, time
from pathlib import Path
from caudal.messaging.feed import Feed
feed = Feed(Path(sys.argv[1]), most_bytes=2000, files_kept=1000)
for batch in range(int(sys.argv[2])):
    feed.append({"batch": batch, "who": sys.argv[3], "filling": "x" * 50})
"""


def written(folder: Path, updates: int, who: str = "a") -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(updates), who], env=dict(os.environ))


def test_what_is_appended_is_told_with_its_number(tmp_path: Path) -> None:
    feed = Feed(tmp_path / "eeg")
    assert (feed.end(), feed.tail(0)) == (0, [])
    assert [feed.append({"batch": 7}), feed.append({"batch": 8})] == [1, 2]
    assert feed.tail(0) == [(1, {"batch": 7}), (2, {"batch": 8})]
    assert feed.tail(1) == [(2, {"batch": 8})]
    assert feed.tail(2) == []
    assert feed.end() == 2


def test_numpy_is_taken_and_missing_values_become_null(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.append({"mean": np.array([[1.5, np.nan]], np.float32), "read": np.int64(3), "quantiles": {0.05: float("nan")}})
    assert json.loads(feed.lines(0)[0][1]) == {"mean": [[1.5, None]], "read": 3, "quantiles": {"0.05": None}}


def test_files_are_rotated_and_the_oldest_go(tmp_path: Path) -> None:
    writer, reader = Feed(tmp_path, most_bytes=300, files_kept=3), Feed(tmp_path)
    followed: list[tuple[int, dict[str, int]]] = []
    for batch in range(100):
        writer.append({"batch": batch})
        followed += reader.tail(followed[-1][0] if followed else 0)
    assert followed == [(batch + 1, {"batch": batch}) for batch in range(100)]
    files = sorted(tmp_path.glob("*.jsonl"))
    assert len(files) == 3
    assert all(file.stat().st_size <= 300 + 20 for file in files)
    kept = Feed(tmp_path).tail(0)
    assert [number for number, _ in kept] == list(range(int(files[0].stem), 101))
    assert kept[0][1]["batch"] == kept[0][0] - 1


def test_a_restart_goes_on_with_the_numbers(tmp_path: Path) -> None:
    for batch in range(10):
        assert Feed(tmp_path, most_bytes=40).append({"batch": batch}) == batch + 1
    assert [update["batch"] for _, update in Feed(tmp_path).tail(6)] == [6, 7, 8, 9]


def test_a_torn_last_line_is_never_seen_and_the_next_writer_cuts_it_off(tmp_path: Path) -> None:
    Feed(tmp_path).append({"batch": 0})
    reader = Feed(tmp_path)
    assert len(reader.tail(0)) == 1
    (file,) = tmp_path.glob("*.jsonl")
    whole = file.read_bytes()
    for torn in (b"{", b'{"batch": 1, "rate": 40', b'{"batch": 1}'):
        file.write_bytes(whole + torn)
        assert reader.tail(1) == []
        assert Feed(tmp_path).tail(0) == [(1, {"batch": 0})]
        assert Feed(tmp_path).end() == 1
    assert Feed(tmp_path).append({"batch": 1}) == 2
    assert reader.tail(1) == [(2, {"batch": 1})]
    assert file.read_bytes() == whole + b'{"batch":1}\n'


def test_another_process_sees_each_update_once_while_it_is_written(tmp_path: Path) -> None:
    process = written(tmp_path, 500)
    reader, seen = Feed(tmp_path), [(0, {})]
    while process.poll() is None:
        seen += reader.tail(seen[-1][0])
    seen += reader.tail(seen[-1][0])
    assert process.returncode == 0
    assert [number for number, _ in seen] == list(range(501))
    assert [update["batch"] for _, update in seen[1:]] == list(range(500))
    assert len(list(tmp_path.glob("*.jsonl"))) > 5


def test_two_writers_share_the_numbers(tmp_path: Path) -> None:
    processes = [written(tmp_path, 100, who) for who in "ab"]
    assert [process.wait(60) for process in processes] == [0, 0]
    found = Feed(tmp_path).tail(0)
    assert [number for number, _ in found] == list(range(1, 201))
    for who in "ab":
        assert [update["batch"] for _, update in found if update["who"] == who] == list(range(100))


def test_threads_may_share_one_feed(tmp_path: Path) -> None:
    feed = Feed(tmp_path, most_bytes=500, files_kept=99)
    threads = [threading.Thread(target=lambda: [feed.append({"x": 1}) for _ in range(20)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [number for number, _ in Feed(tmp_path).tail(0)] == list(range(1, 61))


def test_a_feed_that_begins_again_is_told_from_the_old_one(tmp_path: Path) -> None:
    reader, writer = Feed(tmp_path), Feed(tmp_path)
    for batch in range(5):
        writer.append({"batch": batch})
    assert len(reader.tail(0)) == 5
    for file in tmp_path.glob("*.jsonl"):
        file.rename(tmp_path / "old")  # its inode stays taken
    for batch in range(100, 103):
        Feed(tmp_path).append({"batch": batch})
    assert reader.end() == 3
    assert [update["batch"] for _, update in reader.tail(0)] == [100, 101, 102]
    (file,) = tmp_path.glob("*.jsonl")
    file.write_bytes(b'{"batch":200}\n')  # the same inode, as a new file may have it
    assert reader.end() == 1
    assert reader.tail(0) == [(1, {"batch": 200})]


def test_a_disk_that_takes_half_a_line_is_told_and_the_half_is_taken_back(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="needs a limit on the size of files")
    feed = Feed(tmp_path)
    feed.append({"batch": 0})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(EnvironmentProblem, match="cannot be written"):
            feed.append({"filling": "x" * 200})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert feed.append({"batch": 1}) == 2
    (file,) = tmp_path.glob("*.jsonl")
    assert file.read_bytes() == b'{"batch":0}\n{"batch":1}\n'
