"""Limits of requests within a period."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from caudal.web.key_limit import KeyLimit


@given(
    count=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 90, allow_nan=False), min_size=1, max_size=80),
    numbers=st.lists(st.integers(1, 5), min_size=80, max_size=80),
)
def test_no_window_of_the_clock_has_more_than_the_limit_and_a_wait_suffices(
    count: int, pauses: list[float], numbers: list[int]
) -> None:
    now = [1000.0]
    limit = KeyLimit(count, 60.0, clock=lambda: now[0])
    taken: list[tuple[float, int]] = []
    for pause, number in zip(pauses, numbers, strict=False):
        now[0] += pause
        if limit.take(number):
            assert limit.wait_s(0) == 0
            taken.append((now[0], number))
        else:
            wait = limit.wait_s(number)
            assert wait > 0
            if number <= count:
                now[0] += wait + 1e-6
                assert limit.take(number)
                taken.append((now[0], number))
    for window in {int(at // 60) for at, _ in taken}:
        assert sum(number for at, number in taken if at // 60 == window) <= count


def test_what_was_long_ago_counts_for_nothing() -> None:
    now = [30.0]
    limit = KeyLimit(5, 60.0, clock=lambda: now[0])
    assert limit.take(5)
    assert not limit.take()
    now[0] = 59.9
    assert not limit.take()
    now[0] = 90.0  # half of what was counted is within the last minute, by the estimate
    assert limit.take(2)
    assert not limit.take()
    now[0] = 100 * 60.0
    assert limit.take(5)


@pytest.mark.parametrize("number", [6, 60])
def test_more_than_the_limit_at_once_is_never_let_through(number: int) -> None:
    now = [0.0]
    limit = KeyLimit(5, 60.0, clock=lambda: now[0])
    assert not limit.take(number)
    now[0] = 1e6
    assert not limit.take(number)


def _ask(file: Path, process: int, began: float, taken: object) -> None:
    limit = KeyLimit(1000, 3600.0, file=file, process=process, processes=4, clock=lambda: began)
    taken.put(sum(limit.take() for _ in range(600)))  # type: ignore[attr-defined]


def test_processes_count_together(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    began = time.monotonic() + 7200
    members = [fork.Process(target=_ask, args=(tmp_path / "1", number, began, queue)) for number in range(4)]
    for member in members:
        member.start()
    taken = [queue.get(timeout=60) for _ in members]
    for member in members:
        member.join()
    assert 1000 <= sum(taken) <= 1003  # each process may let one through while another counts
    # One that replaces a process goes on from what that had counted.
    again = KeyLimit(1000, 3600.0, file=tmp_path / "1", process=2, processes=4, clock=lambda: began)
    assert not again.take()
