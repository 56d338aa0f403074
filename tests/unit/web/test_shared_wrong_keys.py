"""Wrong keys that several server processes count together are those that one counts."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from caudal.web.processes import can_fork
from caudal.web.shared_wrong_keys import SharedWrongKeys
from caudal.web.visitors import FREE_TRIES, WrongKeys

pytestmark = pytest.mark.skipif(not can_fork(), reason="server processes are forked")
SALT = b"0123456789abcdef0123456789abcdef"


@given(st.lists(st.tuples(st.sampled_from(["count", "forget", "pass"]), st.integers(0, 3), st.integers(0, 1), st.floats(0, 40))))
@settings(max_examples=50)
def test_two_processes_count_as_one(tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, int, float]]) -> None:
    now = [100.0]
    file = tmp_path_factory.mktemp("wrong") / "keys"
    shared = [SharedWrongKeys(file, SALT, lambda: now[0]) for _ in range(2)]
    alone = WrongKeys(lambda: now[0])
    for act, address, process, seconds in acts:
        caller = f"192.0.2.{address}"
        if act == "pass":
            now[0] += seconds
        else:
            getattr(shared[process], act)(caller)
            getattr(alone, act)(caller)
        for each in shared:
            assert each.tries(caller) == alone.tries(caller)
            assert each.wait_s(caller) == alone.wait_s(caller)


def _count(file: Path, times: int) -> None:
    wrong_keys = SharedWrongKeys(file, SALT)
    for number in range(times):
        wrong_keys.count("192.0.2.1")
        wrong_keys.count(f"198.51.100.{number % 200}")


def test_no_count_is_lost_among_processes(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_count, args=(file, 200)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    wrong_keys = SharedWrongKeys(file, SALT)
    assert wrong_keys.tries("192.0.2.1")[0] == 800
    assert {wrong_keys.tries(f"198.51.100.{number}")[0] for number in range(200)} == {4}
    assert wrong_keys.tries("203.0.113.1") == (0, 0.0)
    assert wrong_keys.wait_s("192.0.2.1") > 0


def test_many_addresses_take_the_place_of_the_oldest(tmp_path: Path) -> None:
    now = [0.0]
    wrong_keys = SharedWrongKeys(tmp_path / "keys", SALT, lambda: now[0])
    for number in range(40_000):
        now[0] = float(number)
        wrong_keys.count(f"2001:db8::{number:x}")
    for _ in range(FREE_TRIES + 1):
        wrong_keys.count("2001:db8::ffff:1")
    assert wrong_keys.wait_s("2001:db8::ffff:1") > 0
    kept = [number for number in range(40_000) if wrong_keys.tries(f"2001:db8::{number:x}")[0]]
    assert 12_000 < len(kept) <= 4 * 4096
    assert sum(number >= 32_000 for number in kept) > 7_500
