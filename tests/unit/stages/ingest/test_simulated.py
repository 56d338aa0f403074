"""Files that a function makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caudal.declarations.connection import simulated
from caudal.errors import SourceProblem
from caudal.stages.ingest import Arrival, KnownFile, arrivals

CALLS: list[int] = []


def two_files(folder: Path, seed: int, rows: int = 1) -> None:
    CALLS.append(seed)
    for name in ("a.csv", "sub/b.csv"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("seed\n" + f"{seed}\n" * rows)
    (folder / "truth.json").write_text("{}")
    (folder / "readme.md").write_text("no data")


def nothing(folder: Path, seed: int) -> None:
    """Write no file."""


def broken(folder: Path, seed: int) -> None:
    raise ZeroDivisionError("seed")


def made(scratch: Path, seen: dict[str, KnownFile] | None = None, **more: Any) -> list[Arrival]:
    return arrivals(simulated(more.pop("write", two_files), **more), data=None, scratch=scratch, landed=seen or {})


def remembered(arrived: list[Arrival]) -> dict[str, KnownFile]:
    return {one.path: KnownFile(one.etag, one.modified_ns, one.bytes, "0" * 64) for one in arrived}


def test_files_are_made_once(tmp_path: Path) -> None:
    CALLS.clear()
    arrived = made(tmp_path)
    assert [one.path for one in arrived] == ["simulated:two_files/a.csv", "simulated:two_files/sub/b.csv"]
    assert made(tmp_path, remembered(arrived)) == []
    assert CALLS == [0]


def test_a_run_that_died_between_two_files_gets_both_again(tmp_path: Path) -> None:
    arrived = made(tmp_path)
    assert len(made(tmp_path, remembered(arrived[:1]))) == 2


def test_another_seed_or_parameter_makes_them_anew_under_the_same_names(tmp_path: Path) -> None:
    arrived = made(tmp_path)
    for change in ({"seed": 1}, {"rows": 2}):
        again = made(tmp_path, remembered(arrived), **change)
        assert [one.path for one in again] == [one.path for one in arrived]
        assert again[0].local.read_bytes() != arrived[0].local.read_bytes()


def test_a_function_that_fails_or_writes_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceProblem, match=r"'broken' failed: ZeroDivisionError: seed.*test_simulated\.py:\d+"):
        made(tmp_path, write=broken)
    with pytest.raises(SourceProblem, match="'nothing' wrote no file"):
        made(tmp_path, write=nothing)
