"""Delta commits: atomic, by day, with identity; a dead run's files go, a living version's stay."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from caudal.errors import NotThere
from caudal.storage import delta
from caudal.storage.place import delta_options, writable
from caudal.storage.sweep import sweep
from caudal.tables import changes
from caudal.tables.frames import arrow

SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": "n", "type": "long", "nullable": True, "metadata": {}},
        {"name": "at", "type": "timestamp_ntz", "nullable": True, "metadata": {"caudal.event_time": True}},
        {"name": "_day", "type": "date", "nullable": True, "metadata": {}},
    ],
}


def stage(folder, run, rows_by_day):
    """Write files as Spark would leave them, and return them as staged."""
    for day, rows in rows_by_day.items():
        place = folder / f"part-{run}" / "_verdict=good" / f"_day={day}"
        place.mkdir(parents=True)
        with writable(place / "part-0.parquet") as file:
            pq.write_table(
                pa.table({"n": pa.array(rows, pa.int64()), "at": pa.array([None] * len(rows), pa.timestamp("us"))}), file
            )
    return delta.staged(folder, folder / f"part-{run}" / "_verdict=good")


def rows_of(folder, version=None):
    found = delta.read_version(folder, version)
    return sorted(arrow(found, ["n"]).column("n").to_pylist())


def test_versions_replace_days_and_keep_the_others(lake):
    table = lake / "t"
    first = delta.commit(
        table,
        stage(table, "a", {"2023-01-01": [1, 2], "2023-01-02": [3]}),
        SCHEMA,
        partitioned=True,
        replace="all",
        identity={"run_id": "a"},
    )
    second = delta.commit(
        table, stage(table, "b", {"2023-01-02": [4, 5]}), SCHEMA, partitioned=True, replace={"2023-01-02"}, identity={"run_id": "b"}
    )
    assert (first, second) == (0, 1)
    assert rows_of(table) == [1, 2, 4, 5]
    assert rows_of(table, 0) == [1, 2, 3]
    assert changes.changed_days(table, 0, 1) == {"2023-01-02"}
    assert delta.identity(table, 1) == {"run_id": "b"}
    assert delta.read_version(table).days == {"2023-01-01", "2023-01-02"}


def test_a_day_that_lost_all_its_rows_is_taken_out(lake):
    table = lake / "t"
    delta.commit(
        table, stage(table, "a", {"2023-01-01": [1], "2023-01-02": [3]}), SCHEMA, partitioned=True, replace="all", identity={}
    )
    delta.commit(table, [], SCHEMA, partitioned=True, replace={"2023-01-02"}, identity={})
    assert rows_of(table) == [1]


def test_files_replace_files_by_the_segment_in_their_path(lake):
    table = lake / "t"
    files = stage(table, "a", {"2023-01-01": [1]})
    delta.commit(table, files, SCHEMA, partitioned=True, replace="none", identity={})
    delta.commit(
        table, stage(table, "b", {"2023-01-01": [2]}), SCHEMA, partitioned=True, replace=frozenset({"part-a"}), identity={}
    )
    assert rows_of(table) == [2]


@pytest.mark.slow
def test_new_columns_widen_the_table_and_a_rebuild_replaces_its_schema(lake):
    table = lake / "t"
    wider = {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "fee", "type": "double", "nullable": True, "metadata": {}}]}
    delta.commit(table, stage(table, "a", {"2023-01-01": [1]}), SCHEMA, partitioned=True, replace="all", identity={})
    delta.commit(table, stage(table, "b", {"2023-01-02": [2]}), wider, partitioned=True, replace="none", identity={})
    assert "fee" in [field["name"] for field in delta.read_version(table).schema["fields"]]
    assert rows_of(table) == [1, 2]
    delta.commit(table, stage(table, "c", {"2023-01-02": [9]}), SCHEMA, partitioned=True, replace="all", identity={})
    assert "fee" not in [field["name"] for field in delta.read_version(table).schema["fields"]]
    assert rows_of(table) == [9]


def test_column_metadata_survives(lake):
    table = lake / "t"
    delta.commit(table, stage(table, "a", {"2023-01-01": [1]}), SCHEMA, partitioned=True, replace="all", identity={})
    assert delta.read_version(table).schema["fields"][1]["metadata"] == {"caudal.event_time": True}


def test_sweep_takes_what_no_version_names_and_nothing_else(lake):
    table = lake / "t"
    delta.commit(table, stage(table, "a", {"2023-01-01": [1]}), SCHEMA, partitioned=True, replace="all", identity={})
    delta.commit(table, stage(table, "b", {"2023-01-01": [2]}), SCHEMA, partitioned=True, replace="all", identity={})
    stage(table, "dead", {"2023-01-01": [66]})
    assert sweep(table) == 1
    assert not (table / "part-dead").exists()
    assert rows_of(table) == [2]
    assert rows_of(table, 0) == [1]  # time travel still works


def test_other_readers_of_delta_see_the_same_rows(lake):
    import deltalake

    table = lake / "t"
    delta.commit(table, stage(table, "a", {"2023-01-01": [1, 2]}), SCHEMA, partitioned=True, replace="all", identity={})
    seen = deltalake.DeltaTable(str(table), storage_options=delta_options(table)).to_pyarrow_table()
    assert sorted(seen.column("n").to_pylist()) == [1, 2]
    assert {str(day) for day in seen.column("_day").to_pylist()} == {"2023-01-01"}


def test_of_two_that_commit_the_same_version_one_is_told(lake):
    from deltalake.exceptions import CommitFailedError

    table = lake / "t"
    delta.commit(table, stage(table, "a", {"2023-01-01": [1]}), SCHEMA, partitioned=True, replace="all", identity={"run_id": "a"})
    opened, files = delta._open(table, None), stage(table, "c", {"2023-01-03": [3]})
    delta.commit(table, stage(table, "b", {"2023-01-02": [2]}), SCHEMA, partitioned=True, replace="none", identity={"run_id": "b"})
    with pytest.raises(CommitFailedError):
        opened.create_write_transaction(
            [delta._add(one, True, 0) for one in files], "append", opened.schema(), partition_by=[delta.DAY],
            commit_properties=delta._properties({"run_id": "c"}),
        )  # fmt: skip
    assert rows_of(table) == [1, 2]


def test_a_missing_table_and_a_missing_version_are_named(lake):
    with pytest.raises(NotThere, match="no table"):
        delta.read_version(lake / "nothing")
    table = lake / "t"
    delta.commit(table, stage(table, "a", {"2023-01-01": [1]}), SCHEMA, partitioned=True, replace="all", identity={})
    with pytest.raises(NotThere, match="it has 0 to 0"):
        delta.read_version(table, 7)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["2023-01-01", "2023-01-02", "2023-01-03"]),
            st.lists(st.integers(0, 9), min_size=1, max_size=3),
            min_size=1,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_replacing_days_keeps_exactly_the_newest_rows_of_each_day(tmp_path_factory, writes):
    table = tmp_path_factory.mktemp("lake") / "t"
    expected: dict[str, list[int]] = {}
    for number, rows in enumerate(writes):
        delta.commit(table, stage(table, str(number), rows), SCHEMA, partitioned=True, replace=set(rows), identity={"n": number})
        expected |= rows
    assert rows_of(table) == sorted(n for rows in expected.values() for n in rows)
    assert json.loads(json.dumps(delta.identity(table, len(writes) - 1))) == {"n": len(writes) - 1}
