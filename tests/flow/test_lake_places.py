"""The same product at each place where a lake can lie: from a file to exported rows, and again with one more file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from tests import zygote
from tests.flow import lake_rounds
from tests.servers.places import place_of

from caudal.storage.place import Remote, place


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["s3", "hdfs"])  # the other flows run on a local folder
def test_a_product_runs_wherever_its_lake_lies(kind, request, tmp_path):
    lake = str(place_of(kind, request))
    if kind == "s3":  # its jars have to be there when Spark starts
        server = request.getfixturevalue("s3_server")
        before = len(server.requests())
        command = [sys.executable, str(Path(lake_rounds.__file__)), str(tmp_path), lake]
        done = zygote.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **server.environ})
        assert done.returncode == 0, done.stderr[-3000:]
        said = json.loads(done.stdout.splitlines()[-1])
        requests = server.requests()[before:]
        assert not any("testing" in path.read_text(errors="replace") for path in (tmp_path / "home").rglob("*") if path.is_file())
        assert any("__magic" in one for one in requests)  # the committer that renames nothing
        assert not [one for one in place(lake).rglob("*") if "__magic" in str(one) or "_temporary" in str(one)]
    else:
        request.getfixturevalue("spark")
        said = lake_rounds.rounds(tmp_path, lake)
    assert said == {
        "first": "succeeded",
        "after_first": lake_rounds.AFTER_FIRST,
        "again": "up to date",
        "days": {"readings_raw": 2, "readings": 2, "totals": None},
        "after_second": lake_rounds.AFTER_SECOND,
        "totals": ["2024-01-01,4,2", "2024-01-02,9,2", "2024-01-03,6,1"],
        "quarantine": {"unique(id)": 1, "between(value, 0, 100)": 1},
        "shown": 2,
        "status": {"readings_raw": [7, 0], "readings": [5, 2], "totals": [3, 0]},
    }
    at = place(lake)
    assert (at / "lake" / "meters" / "readings" / "_delta_log").is_dir()
    assert len(list((at / "raw").rglob("*.csv"))) == 2
    if isinstance(at, Remote):
        assert not (tmp_path / "home" / "lake").exists()
        assert not (tmp_path / "home" / "raw").exists()
