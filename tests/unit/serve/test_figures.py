"""What processes hand over becomes the figures of a minute once all of them have handed over."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from caudal.ledger.measurements import measurements
from caudal.serve.champion_cache import ChampionCache
from caudal.serve.minute_log import HandedOver, ServingMinuteLog
from caudal.serve.processes import PATIENCE_S, FigureWriter

NOW = 1_793_012_400.0  # a whole minute


@pytest.fixture
def members(served: Any) -> Any:
    """Two processes' logs, their parent's writer, and the time."""
    champions = ChampionCache(served.ledger, served.load)
    champions.refresh()
    at = [NOW + 10]
    logs = [ServingMinuteLog(champions, lambda: at[0]) for _ in range(2)]
    announced: list[bool] = []
    writer = FigureWriter(served.url, lambda: announced.append(True), lambda: at[0])

    def hand_over(process: int) -> None:
        handed, _ = logs[process].hand_over()
        writer.receive(HandedOver(process, handed.at, handed.tallies, handed.cached, handed.faults))

    for process in (0, 1):
        hand_over(process)
    assert announced == [True]
    return at, logs, writer, hand_over


def written(served: Any) -> list[tuple[float, float]]:
    rows = measurements(served.ledger, product="taxi", subject="duration", metric="requests")
    return [(row.value, row.detail["p95_s"]) for row in reversed(rows)]


def test_a_minute_waits_for_the_last_process(served: Any, members: Any) -> None:
    at, logs, writer, hand_over = members
    for seconds in range(1, 20):
        logs[0].count("taxi", "duration", 200, seconds / 100)
    logs[1].count("taxi", "duration", 500, 9.0)
    at[0] = NOW + 61
    hand_over(0)
    writer.tick({0, 1})
    assert written(served) == []
    hand_over(1)
    writer.tick({0, 1})
    assert written(served) == [(20.0, 0.19)]  # of all requests together, and no quantile of quantiles
    writer.tick({0, 1})
    writer.finish()
    assert len(written(served)) == 1


def test_a_process_that_ended_or_hangs_is_not_waited_for(served: Any, members: Any) -> None:
    at, logs, writer, hand_over = members
    logs[0].count("taxi", "duration", 200, 0.1)
    at[0] = NOW + 61
    hand_over(0)
    writer.tick({0})
    assert [value for value, _ in written(served)] == [1.0]
    logs[0].count("taxi", "duration", 200, 0.1)
    at[0] = NOW + 121
    hand_over(0)
    writer.tick({0, 1})
    assert len(written(served)) == 1
    at[0] = NOW + 120 + PATIENCE_S
    writer.tick({0, 1})
    assert len(written(served)) == 2


def test_what_comes_too_late_counts_and_is_told(served: Any, members: Any, caplog: pytest.LogCaptureFixture) -> None:
    at, logs, writer, hand_over = members
    logs[0].count("taxi", "duration", 200, 0.1)
    logs[1].count("taxi", "duration", 200, 0.1)
    at[0] = NOW + 60 + PATIENCE_S
    hand_over(0)
    writer.tick({0, 1})
    with caplog.at_level(logging.WARNING):
        hand_over(1)
    assert "1 requests were counted too late" in caplog.text
    writer.finish()
    assert sum(value for value, _ in written(served)) == 2.0
