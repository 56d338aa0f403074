"""A stream's table over hundreds of versions: found as fast as at first, and each of them still there."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from caudal.storage import delta
from caudal.streaming.append import append, compact, last_batch
from caudal.tables.frames import arrow


def rows(number: int) -> pa.Table:
    return pa.table({"n": pa.array([number], pa.int64()), "at": pa.array([number * 1_000_000], pa.timestamp("us", "UTC"))})


def add(folder: Path, number: int) -> None:
    said = {"run_id": "r", "upto": number, "code": "stream"}
    append(folder, [rows(number)], [], moment="at", tz="UTC", partitioned=False, identity=said)
    compact(folder, partitioned=False, identity=said)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake") / "table"
    for number in range(120):
        add(folder, number)
    return folder


def test_every_version_can_be_read(table: Path) -> None:
    number = delta.version_of(table)
    assert number is not None
    assert number > 120  # compaction made some of them
    assert delta.identity(table, number)["upto"] == last_batch(table) == 119
    assert sorted(arrow(delta.read_version(table)).column("n").to_pylist()) == list(range(120))
    for version in range(0, number, 10):
        have = sorted(arrow(delta.read_version(table, version)).column("n").to_pylist())
        assert have == list(range(len(have)))
    assert len(delta.read_version(table).files) < 40


def test_the_newest_version_is_found_without_a_listing(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want = delta.version_of(table)
    monkeypatch.setattr(Path, "iterdir", lambda _: pytest.fail("the log was listed"))
    assert delta.version_of(table) == want


def test_a_checkpoint_that_is_told_wrongly_is_no_harm(table: Path) -> None:
    want, told = delta.version_of(table), table / "_delta_log" / "_last_checkpoint"
    kept = told.read_text()
    try:
        for wrong in ('{"version": 999}', "{", "{}"):
            told.write_text(wrong)
            assert delta.version_of(table) == want
        told.unlink()
        assert delta.version_of(table) == want
    finally:
        told.write_text(kept)
