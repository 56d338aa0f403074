"""Which files a table still needs, and what a version without some days leaves alone."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caudal.storage import delta
from caudal.tables import changes, lifespans
from caudal.tables.found import matching, version_by_file

SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": "n", "type": "long", "nullable": True, "metadata": {}},
        {"name": "_day", "type": "date", "nullable": True, "metadata": {}},
    ],
}


@pytest.fixture
def table(tmp_path):
    """Two days; then the second of them written anew."""
    folder = tmp_path / "table"
    for number, days in enumerate((("2023-01-01", "2023-01-02"), ("2023-01-02",))):
        stage = folder / f"part-{number}"
        for day in days:
            (stage / f"_day={day}").mkdir(parents=True)
            pq.write_table(pa.table({"n": [number]}), stage / f"_day={day}" / "x.parquet")
        files = delta.staged(folder, stage)
        said = {"run_id": str(number), "inputs": {}, "code": "c"}
        delta.commit(folder, files, SCHEMA, partitioned=True, replace="all" if number == 0 else set(days), identity=said)
    return folder


def test_files_live_from_the_version_that_brought_them_to_the_one_that_took_them_out(table):
    spans, times = lifespans.lifespans(table)
    lives = {one.path: (one.added, one.removed) for one in spans}
    assert lives == {
        "part-0/_day=2023-01-01/x.parquet": (0, None), "part-0/_day=2023-01-02/x.parquet": (0, 1), "part-1/_day=2023-01-02/x.parquet": (1, None),
    }  # fmt: skip
    gone = lifespans.expired(times, before=times[1])
    assert gone == {0}
    assert [one.path for one in lifespans.unneeded_files(spans, table, gone, 1)] == ["part-0/_day=2023-01-02/x.parquet"]
    assert lifespans.unneeded_files(spans, table, lifespans.expired(times, times[1], protected={0}), 1) == []
    assert lifespans.unlink(table, lifespans.unneeded_files(spans, table, gone, 1))[0] == 1
    assert not (table / "part-0" / "_day=2023-01-02").exists()
    assert (table / "part-0" / "_day=2023-01-01").exists()


def test_days_that_were_let_go_are_no_change(table):
    number = lifespans.without_days(table, ["2023-01-01"], {"step": "retain"})
    assert delta.read_version(table).days == {"2023-01-02"}
    assert changes.changed_days(table, 1, number) == set()
    assert changes.changed_days(table, 0, number) == {"2023-01-02"}
    assert delta.identity(table, number)["code"] == "c"


def test_what_a_commit_said_can_be_blotted_out_and_the_table_stays(table):
    assert changes.amend(table, lambda said: said.pop("code", None) is not None) == 2
    assert "code" not in delta.identity(table, 1)
    assert delta.read_version(table).rows == 2
    assert changes.amend(table, lambda said: False) == 0


def test_rows_know_the_version_that_brought_them(table):
    found = list(matching(delta.read_version(table), lambda rows: pa.array([True] * len(rows))))
    assert {(one.file.day, one.version) for one in found} == {("2023-01-01", 0), ("2023-01-02", 1)}
    assert version_by_file(table, 0) == {"part-0/_day=2023-01-01/x.parquet": 0, "part-0/_day=2023-01-02/x.parquet": 0}
