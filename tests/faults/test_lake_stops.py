"""S3 or HDFS is killed in the middle of a run: the run says so in seconds, the same command finishes, nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from tests import zygote
from tests.faults.lake_erasure import DEATHS
from tests.flow.lake_rounds import AFTER_FIRST

# What a run says of a server that is away differs by the kind of server; that it tries again does not.
MOMENTS = {"s3": ["while Spark writes", "retry"], "hdfs": ["while Spark writes"]}


@pytest.mark.faults
@pytest.mark.slow(minutes=2)
@pytest.mark.parametrize("kind", MOMENTS)
def test_the_lake_s_server_is_killed_and_comes_back(tmp_path, kind):
    pytest.importorskip("moto" if kind == "s3" else "hdfs_native")
    command = [sys.executable, "-m", "tests.faults.lake_stops", str(tmp_path), kind, *MOMENTS[kind]]
    done = zygote.run(command, capture_output=True, text=True, timeout=400, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    came = {one["moment"]: one for one in map(json.loads, done.stdout.splitlines()) if "moment" in one}
    assert list(came) == MOMENTS[kind]
    for moment, one in came.items():
        assert (one["rows"], one["quarantined"], one["again"], one["swept later"]) == (AFTER_FIRST, 2, "up to date", 0), moment
        if moment == "retry":
            assert (one["state"], one["error"]) == ("succeeded", None)
        else:
            assert one["error"]["what"].startswith("S3 at http://127.0.0.1" if kind == "s3" else "HDFS at 127.0.0.1")
            assert one["error"]["what"].endswith("does not answer.")
            assert (one["state"], one["then"]) == ("failed", "succeeded")
            assert one["seconds"] < 90


@pytest.mark.faults
@pytest.mark.slow(minutes=2)
@pytest.mark.parametrize("kind", ["s3_server", "hdfs"])
def test_what_is_over_and_a_person_leave_a_lake_far_away_whoever_is_killed(tmp_path, kind, request):
    """The same commands as on a local folder; an erasure that is killed, on S3 four times, ends as one that is not."""
    server = request.getfixturevalue(kind)
    lake = f"s3://{server.bucket()}/lake" if kind == "s3_server" else f"hdfs://127.0.0.1:{server.port}/lake"
    deaths = DEATHS if kind == "s3_server" else DEATHS[-1:]  # none of the others depends on what answers

    def acted(act):
        command = [sys.executable, "-m", "tests.faults.lake_erasure", str(tmp_path), lake, act, *(deaths if act == "made" else ())]
        environment = {**os.environ, **(server.environ if kind == "s3_server" else {})}
        done = zygote.run(command, capture_output=True, text=True, timeout=400, cwd=Path(__file__).parents[2], env=environment)
        assert done.returncode == (-9 if act == "made" else 0), done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    made = acted("made")
    assert [(one[0], one[1]) for one in made["plan"]] == [
        ("versions", "bought"), ("quarantine", "bought"), ("days", "daily"), ("versions", "daily"),
    ]  # fmt: skip
    assert made["untouched"] == made["files"]  # shown, not done
    assert made["after"] == made["files"] - sum(files for *_, files in made["plan"])
    assert made["kept"] == {**made["before"], "daily": []}
    assert (made["left to go"], made["died"]) == ([], [-9] * (len(deaths) - 1))
    assert made["look"] == {"rows": {"raw": 3, "table": 5, "quarantine": 1}, "here": []}

    ended = acted("erase")
    assert ended["rows"] == made["look"]["rows"]  # as it was found before the first kill
    assert (ended["done"], ended["after"], ended["held"], ended["here"], ended["not searched"]) == (True, [], [], [], [])
    assert sorted(ended["raw"]) == [1, 2]
    others = {name: [row for row in rows if not row.startswith(("7 ", '{"customer":7'))] for name, rows in made["before"].items()}
    assert ended["tables"] == others  # the days of a derived table that were let go are made again, and are over again
    assert (ended["earlier"], ended["sha256"], ended["again"]) == (1, True, "up to date")
