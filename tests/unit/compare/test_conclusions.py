"""Conclusions follow from figures, and from nothing else."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from caudal.compare.conclusions import draw_conclusions
from caudal.compare.stage_shares import PARTS, stage_shares, without_stage_s


def of(document: Any, key: str, platform: str | None = None) -> list[dict[str, Any]]:
    return [each["figures"] for each in draw_conclusions(document) if each["key"] == key and platform in (None, each["platform"])]


def test_faster_is_said_only_where_the_interval_excludes_1(made: ModuleType) -> None:
    document = made.sample()
    faster = {(each["measure"], each["platform"], each["beside"]) for each in of(document, "faster")}
    assert faster == {("work_s", "local[2]", "here"), ("work_s", "cluster:2", "here"), ("total_s", "here", "local[2]")}
    (turned,) = (each for each in of(document, "faster") if each["measure"] == "total_s")
    assert (turned["ratio"], turned["low"], turned["high"]) == pytest.approx((1 / 1.18, 1 / 1.25, 1 / 1.12))
    assert len(of(document, "no_difference")) == 1
    assert of(document, "fastest") == []
    document["pairs"][2] |= {"high": 0.99}
    assert [each["platform"] for each in of(document, "fastest")] == ["local[2]"]
    for pair in document["pairs"]:
        pair |= {"low": None, "high": None}
    assert of(document, "faster") + of(document, "fastest") == []
    assert {each["measure"] for each in of(document, "too_few_repetitions")} == {"work_s", "total_s"}


def test_a_slow_start_pays_from_the_size_on_where_both_take_as_long(made: ModuleType) -> None:
    document = made.sample()
    (pays,) = of(document, "pays", "local[2]")
    assert 0.3 + 12.0 * pays["times"] == pytest.approx(6.1 + 8.1 * pays["times"])
    assert [each["platform"] for each in of(document, "mostly_start")] == ["cluster:2"]


def test_each_stage_has_its_bottleneck_and_what_would_help(made: ModuleType) -> None:
    document = made.sample()
    first, second = of(document, "bottleneck", "local[2]")
    assert (first["stage"], first["part"]) == (1, "cpu")
    assert (second["stage"], second["part"]) == (2, "other")
    assert [each["stage"] for each in of(document, "help_cores", "local[2]")] == [1]
    for key in ("help_skew", "help_spill", "help_shuffle", "help_format"):
        assert [each["stage"] for each in of(document, key, "local[2]")] == [2], key
    assert of(document, "help_gc") == []


@pytest.mark.parametrize(
    ("key", "tasks", "p50", "measures"),
    [
        ("help_gc", 4, 900, {"run_ms": 4000, "gc_ms": 800}),
        ("help_partitions", 1, 900, {"run_ms": 900, "cpu_ns": 900_000_000}),
        ("help_fewer_tasks", 400, 5, {"run_ms": 2000, "scheduler_delay_ms": 900, "deserialize_ms": 300}),
    ],
)
def test_what_would_help(made: ModuleType, key: str, tasks: int, p50: int, measures: dict[str, int]) -> None:
    document = made.sample()
    document["platforms"][1]["stages"] = [made.stage(1, 0.0, 2000, tasks, p50, p50, **measures)]
    assert [each["stage"] for each in of(document, key, "local[2]")] == [1]


def test_parts_add_up_to_the_task_time(made: ModuleType) -> None:
    document = made.sample()
    for each in stage_shares(document["platforms"][1]):
        assert sum(each.parts.values()) == pytest.approx(each.task_ms)
        assert [*each.parts] == [*PARTS]
    assert without_stage_s(document["platforms"][1]) == pytest.approx(8.1 - 4.7)


def test_faults_tables_costs_and_what_is_missing(made: ModuleType) -> None:
    document = made.sample()
    assert [each["recovery_s"] for each in of(document, "fault_recovered")] == [3.1]
    assert len(of(document, "fault_rows_whole")) == len(of(document, "fault_not_applicable")) == 1
    assert [each["column"] for each in of(document, "table_differs_by")] == ["score"]
    document["faults"][0] |= {"rows_lost": 2, "state": "not recovered", "why": "It ran past the limit."}
    document["platforms"][1]["cost_per_million_rows"], document["platforms"][2]["cost_per_million_rows"] = 0.02, 0.05
    document["platforms"][0] |= {"state": "unreachable", "why": "It does not answer."}
    document |= {"complete": False, "stopped_by": "Ctrl-C"}
    assert [each["rows_lost"] for each in of(document, "fault_rows_wrong")] == [2]
    assert len(of(document, "fault_not_recovered")) == len(of(document, "not_measured")) == len(of(document, "incomplete")) == 1
    assert [each["platform"] for each in of(document, "cheapest")] == ["local[2]"]


def test_a_model_that_is_off_predicts_nothing(made: ModuleType) -> None:
    document = made.sample()
    assert [each["law"] for each in of(document, "model")] == ["size"]
    document["scaling"][0]["error"] = 0.4
    assert of(document, "model") == []
    assert [each["error_share"] for each in of(document, "model_poor")] == [0.4]


def test_nothing_is_concluded_from_nothing(made: ModuleType) -> None:
    document = made.sample()
    document |= {"platforms": [], "pairs": [], "tables": [], "faults": [], "scaling": []}
    assert [each["key"] for each in draw_conclusions(document)] == ["nothing"]
