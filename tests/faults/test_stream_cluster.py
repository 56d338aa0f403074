"""A worker of two dies under a stream that Spark computes, then both: the tables are those of a stream that nothing happened to."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.stream import faults

pytestmark = [
    pytest.mark.slow(minutes=2),
    pytest.mark.faults,
    pytest.mark.timeout(1500),
    pytest.mark.usefixtures("forked_benchmarks"),
]


def test_workers_killed_in_the_middle_of_micro_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The truth is a stream in this process; that such a stream equals a run is what ``test_stream_kills`` shows."""
    monkeypatch.setenv("CAUDAL_JAVA", "bundled")  # the one with an archive of classes
    told = faults.worker_killed(tmp_path, seconds=20, batch_bytes=128 << 10, with_a_run=False)
    assert told.wrong == []
    assert told.facts["micro_batches"] >= 8
    assert set(told.recovery) == {"the worker's death", "both workers started again"}
