"""Rows of a view that are kept in memory answer as the file does."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from caudal.tables import online
from caudal.tables.online import Described, OnlineView, ViewGroup
from caudal.tables.view_places.sqlite import open_view, written_view

KEYS = st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "a", "\u00e9"]))
ROWS = st.lists(st.tuples(KEYS, st.integers(-5, 30), st.none() | st.floats(allow_nan=False)), max_size=40)


def view_of(folder: str, rows: list[Any], valid_us: int | None) -> OnlineView:
    group: ViewGroup = {"keys": ["from", "to"], "time": "at", "columns": ["mean"], "valid_us": valid_us, "exact": True}
    described: Described = {
        "format": 1, "times": {"at": True}, "key_types": {}, "named": [], "fields": {}, "tz": "UTC", "groups": [group], "calendar": {},
        "since_us": 0, "until_us": 30, "built_at": 0.0, "versions": {}, "checked": 0,
    }  # fmt: skip
    with written_view(Path(folder) / "m.sqlite") as writer:
        writer.add_group(0, group, [(*key, at, value) for key, at, value in rows])
        writer.finish(described)
        writer.publish()
    return open_view(Path(folder) / "m.sqlite")


def of_file(file: Path, key: tuple[str, str], at: int, valid_us: int | None) -> tuple[Any, ...] | None:
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT at, v0 FROM group_0 WHERE k0 = ? AND k1 = ?", key).fetchall()
    connection.close()
    before = [row for row in rows if row[0] <= at]
    if not before or (valid_us is not None and at - max(row[0] for row in before) > valid_us):
        return None
    return (max(before, key=lambda row: row[0])[1],)


@pytest.mark.parametrize(("kept", "of_key"), [(50_000, 1_000), (50_000, 2), (6, 4), (0, 1_000)])
@given(
    rows=ROWS,
    asked=st.lists(st.tuples(KEYS, st.integers(-10, 40)), min_size=1, max_size=15),
    valid_us=st.sampled_from([None, 0, 4]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_kept_answers_as_the_file(kept: int, of_key: int, rows: list[Any], asked: list[Any], valid_us: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(online, "KEPT_ROWS", kept)
        patch.setattr(online, "KEPT_ROWS_OF_KEY", of_key)
        view = view_of(folder, rows, valid_us)
        for key, at in asked * 2:
            assert view.values(0, list(key), at) == of_file(Path(folder) / "m.sqlite", key, at, valid_us)
