"""S3 or HDFS is killed in the middle of a run: the run says so in seconds, the same command finishes, nothing is lost or doubled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.flow.lake_rounds import AFTER_FIRST

MOMENTS = ["while Spark writes", "retry"]


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "hdfs"])
def test_the_lake_s_server_is_killed_and_comes_back(tmp_path, kind):
    pytest.importorskip("moto" if kind == "s3" else "hdfs_native")
    command = [sys.executable, "-m", "tests.faults.lake_stops", str(tmp_path), kind, *MOMENTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    came = {one["moment"]: one for one in map(json.loads, done.stdout.splitlines()) if "moment" in one}
    assert list(came) == MOMENTS
    for moment, one in came.items():
        assert (one["rows"], one["quarantined"], one["again"], one["swept later"]) == (AFTER_FIRST, 2, "up to date", 0), moment
        if moment == "retry":
            assert (one["state"], one["error"]) == ("succeeded", None)
        else:
            assert one["error"]["what"].startswith("S3 at http://127.0.0.1" if kind == "s3" else "HDFS at 127.0.0.1")
            assert one["error"]["what"].endswith("does not answer.")
            assert (one["state"], one["then"]) == ("failed", "succeeded")
            assert one["seconds"] < 90
