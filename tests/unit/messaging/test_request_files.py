"""No line of a file of requests is lost or in two files, whoever takes the file, and whenever its server dies."""

from __future__ import annotations

import datetime as dt
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from caudal.messaging import request_files
from caudal.messaging.request_files import RequestFile, all_files, finished_files, read_request_lines, rewrite, take, take_all
from caudal.messaging.request_tables import read_requests

COLUMNS = [("id", "string"), ("n", "long")]


def line(number: int) -> bytes:
    return b'["%d",%d]\n' % (number, number)


def test_each_line_is_in_one_file_while_others_take_them(tmp_path: Path) -> None:
    writers = [RequestFile(tmp_path, COLUMNS) for _ in range(3)]
    done = threading.Event()

    def write(file: RequestFile, first: int) -> None:
        for number in range(first, first + 300, 3):
            file.append(b"".join(map(line, range(number, number + 3))))

    def look() -> None:
        while not done.is_set():
            take_all(tmp_path)

    taker = threading.Thread(target=look)
    taker.start()
    threads = [threading.Thread(target=write, args=(file, number * 1000)) for number, file in enumerate(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    taker.join()
    files = take_all(tmp_path)
    assert len(files) >= 3  # more where the taker came while they were written
    assert sorted(row[1] for file in files for row in read_request_lines(file).rows) == [
        *range(300),
        *range(1000, 1300),
        *range(2000, 2300),
    ]
    assert all(not read_request_lines(file).unreadable for file in files)
    assert all_files(tmp_path) == files


def test_a_line_that_broke_off_is_left_out(tmp_path: Path) -> None:
    file = RequestFile(tmp_path, COLUMNS)
    file.append(line(1) + line(2))
    with file.path.open("ab") as killed:
        killed.write(b'["3",')
    taken = take(file.path)
    assert taken is not None
    table, unreadable = read_requests(taken)
    assert (table.to_pydict(), unreadable) == ({"id": ["1", "2"], "n": [1, 2]}, 1)


def test_what_the_disk_did_not_take_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RequestFile(tmp_path, COLUMNS)
    file.append(line(1))

    def full(handle: int, content: Any) -> int:
        os.pwrite(handle, bytes(content[:3]), os.fstat(handle).st_size)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(request_files, "_write", full)
        with pytest.raises(OSError, match="No space"):
            file.append(line(2))
    file.append(line(3))
    file.finish()
    assert [row[1] for row in read_request_lines(*finished_files(tmp_path)).rows] == [1, 3]


def test_types_are_those_of_the_header(tmp_path: Path) -> None:
    columns = [("at", "timestamp_utc"), ("wall", "timestamp"), ("x", "double"), ("names", "strings"), ("text", "string")]
    file = RequestFile(tmp_path, columns)
    file.append(b'[1000000,1000000,1,["a"],"\\ud800"]\n[null,null,null,null,null]\n')
    file.finish()
    table, _ = read_requests(*finished_files(tmp_path))
    second = dt.datetime(1970, 1, 1, 0, 0, 1)
    assert table.to_pylist()[0] == {
        "at": second.replace(tzinfo=dt.UTC), "wall": second, "x": 1.0, "names": ["a"], "text": "?",
    }  # fmt: skip
    assert set(table.to_pylist()[1].values()) == {None}


def test_files_without_an_owner_are_found_by_their_age(tmp_path: Path) -> None:
    file = RequestFile(tmp_path, COLUMNS)
    file.append(line(1))
    assert finished_files(tmp_path) == finished_files(tmp_path, 60.0) == []
    os.utime(file.path, (0, 0))
    assert finished_files(tmp_path, 60.0) == [file.path]


def test_a_file_is_rewritten_with_its_time(tmp_path: Path) -> None:
    file = RequestFile(tmp_path, COLUMNS)
    file.append(line(1) + line(2))
    os.utime(file.path, ns=(5, 7))
    file.finish()
    (finished,) = finished_files(tmp_path)
    rewrite(finished, COLUMNS, [["2", 2]])
    assert read_request_lines(finished).rows == [["2", 2]]
    assert finished.stat().st_mtime_ns == 7
