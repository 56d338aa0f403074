"""A cluster on this machine: workers come and go, the session knows its master."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from caudal.engine.cluster import Cluster
from caudal.engine.session import plan_session
from caudal.engine.settings import session_settings
from caudal.errors import EnvironmentProblem


@pytest.mark.slow
def test_a_killed_worker_is_missed_and_comes_back(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        assert cluster.alive() == 2
        died = cluster.pid(0)
        assert died is not None
        cluster.kill_worker(0)
        assert cluster.pid(0) is None
        with pytest.raises(ProcessLookupError):
            os.kill(died, 0)
        until = time.monotonic() + 20
        while cluster.alive() != 1 and time.monotonic() < until:
            time.sleep(0.1)
        assert cluster.alive() == 1
        cluster.start_worker(0)
        assert cluster.alive() == 2
        left = [cluster.pid(0), cluster.pid(1)]
    for pid in left:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_master_that_does_not_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caudal.engine.cluster._HEAP", "1k")
    with pytest.raises(EnvironmentProblem, match=r"Its last output: .*heap"):
        Cluster(tmp_path).start()


def test_the_master_is_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAUDAL_MASTER", raising=False)
    assert plan_session(cores=1).local
    assert plan_session(master="spark://127.0.0.1:7077").master == "spark://127.0.0.1:7077"
    assert plan_session(conf={"spark.master": "spark://10.0.0.1:7077"}).master == "spark://10.0.0.1:7077"
    monkeypatch.setenv("CAUDAL_MASTER", "yarn")
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop/conf")
    assert plan_session().master == "yarn"
    monkeypatch.delenv("HADOOP_CONF_DIR")
    monkeypatch.delenv("YARN_CONF_DIR", raising=False)
    with pytest.raises(EnvironmentProblem, match="HADOOP_CONF_DIR and YARN_CONF_DIR says where YARN is"):
        plan_session()


def test_only_on_this_machine_the_driver_is_found_by_loopback() -> None:
    common = {"cores": 1, "memory": "1g", "class_path": (), "folder": Path("/x")}
    assert session_settings(master="spark://127.0.0.1:7077", **common)["spark.driver.host"] == "127.0.0.1"
    assert "spark.driver.host" not in session_settings(master="spark://10.0.0.1:7077", **common)
