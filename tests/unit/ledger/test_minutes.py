"""Micro-batches of a stream, added up."""

from __future__ import annotations

from typing import Any

from caudal.ledger.minutes import is_of_minute, sum_checks, sum_steps, whole_stream


def step(state: str = "succeeded", **more: Any) -> dict[str, Any]:
    row = {
        "step": "read:orders", "state": state, "started_at": 60.0, "finished_at": 61.0, "seconds": 0.5, "rows_read": 3, "rows_written": 2, "rows_quarantined": 1,
        "partitions": ["2024-03-01"], "output_version": 1, "detail": {"micro_batches": 1, "reasons": {"no row": 1}, "notes": ["a"]},
    }  # fmt: skip
    return {**row, **more}


def test_counts_are_added_and_what_was_left_is_the_later_ones() -> None:
    later = step(
        started_at=70.0, finished_at=72.0, partitions=["2024-03-02"], output_version=2, rows_quarantined=None,
        detail={"micro_batches": 1, "reasons": {"no row": 2, "range": 1}, "notes": ["a", "b"]},
    )  # fmt: skip
    both = sum_steps(step(), later)
    assert (both["started_at"], both["finished_at"], both["seconds"], both["output_version"]) == (60.0, 72.0, 1.0, 2)
    assert (both["rows_read"], both["rows_written"], both["rows_quarantined"]) == (6, 4, 1)
    assert both["partitions"] == ["2024-03-01", "2024-03-02"]
    assert both["detail"] == {"micro_batches": 2, "reasons": {"no row": 3, "range": 1}, "notes": ["a", "b"]}


def test_a_step_that_had_nothing_to_do_before_loses_its_reason() -> None:
    idle = step(
        "skipped",
        rows_read=None,
        rows_written=None,
        rows_quarantined=None,
        partitions=None,
        detail={"why": "no new file", "micro_batches": 0},
    )
    both = sum_steps(idle, step())
    assert both["state"] == "succeeded"
    assert "why" not in both["detail"]
    assert both["rows_written"] == 2


def test_a_table_without_partitions_has_none() -> None:
    assert sum_steps(step(partitions=None), step(partitions=None))["partitions"] is None


def test_a_minute_is_that_of_the_clock() -> None:
    assert is_of_minute(step(finished_at=60.0), 119.9)
    assert not is_of_minute(step(finished_at=59.9), 60.0)
    assert not is_of_minute(step(finished_at=None), 60.0)


def test_a_stream_has_each_step_once_in_the_order_of_their_first_end() -> None:
    rows: Any = [step(), step(step="table:hours"), step(rows_written=5), step(step="table:hours", detail=None)]
    whole = whole_stream(rows)
    assert [row["step"] for row in whole] == ["read:orders", "table:hours"]
    assert [row["rows_written"] for row in whole] == [7, 4]


def test_an_expectation_broken_once_is_broken() -> None:
    good: Any = {
        "expectation": "between",
        "kind": "between",
        "action": "warn",
        "rows": 3,
        "broken": 0,
        "passed": True,
        "message": None,
    }
    bad: Any = {**good, "broken": 2, "passed": False, "message": "2 rows"}
    assert sum_checks([bad], [good]) == [{**bad, "rows": 6}]
    assert sum_checks([good], [bad]) == [{**bad, "rows": 6}]
    assert sum_checks([], [good]) == [good]
    assert sum_checks([{**bad, "id": 7, "expectation": "unique"}], [good]) == [good, {**bad, "expectation": "unique"}]
    assert sum_checks([{**good, "rows": None, "broken": None}], [good]) == [good]
