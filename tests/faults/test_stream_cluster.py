"""A worker of two dies under a stream that Spark computes, then both: the tables are those of a stream that nothing happened to."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.stream import faults

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults(minutes=8),
    pytest.mark.timeout(1500),
    pytest.mark.usefixtures("forked_benchmarks"),
]


def test_workers_killed_in_the_middle_of_micro_batches(tmp_path: Path) -> None:
    told = faults.worker_killed(tmp_path, seconds=40, batch_bytes=256 << 10)
    assert told.wrong == []
    assert told.facts["micro_batches"] >= 8
    assert set(told.recovery) == {"the worker's death", "both workers started again"}
