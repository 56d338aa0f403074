"""HDFS for tests: Hadoop's mini cluster, a name node and a data node in one Java process; the fixture is `hdfs`."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests

from caudal.engine.connectors import program
from caudal.engine.java import java_home
from caudal.engine.jvm import spark_home
from caudal.engine.loopback import free_port, kill_program, start_program
from caudal.errors import EnvironmentProblem

_START_S = 90.0


class HdfsServer:
    """The cluster; its files stay on the disk when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.root = f"hdfs://127.0.0.1:{self.port}"
        self.log = folder / "hdfs.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._data_port, self._http = free_port(), free_port()
        self.start(fresh=True)

    @property
    def address(self) -> str:
        """Where WebHDFS answers."""
        return f"127.0.0.1:{self._http}"

    def put(self, path: str, content: bytes) -> None:
        """Write a file, by WebHDFS."""
        asked = f"http://{self.address}/webhdfs/v1{path}?op=CREATE&overwrite=true&user.name=caudal"
        requests.put(asked, data=content, timeout=10).raise_for_status()

    @property
    def running(self) -> bool:
        """Whether it was not killed."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self, fresh: bool = False) -> None:
        """Start it and wait until it takes a file."""
        told = self.folder / "details.json"
        told.unlink(missing_ok=True)
        settings = {
            "hdfs.minidfs.basedir": self.folder / "base", "dfs.permissions.enabled": "false", "dfs.datanode.http.address": "127.0.0.1:0", "dfs.datanode.hostname": "127.0.0.1",
            "dfs.datanode.address": f"127.0.0.1:{self._data_port}", "dfs.namenode.safemode.extension": 0,
            "dfs.namenode.safemode.min.datanodes": 1, "dfs.namenode.fs-limits.min-block-size": 0, "dfs.replication": 1,
        }  # fmt: skip
        command = [
            str(java_home().java), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Djava.io.tmpdir={self.folder}", "-cp", os.pathsep.join(map(str, _jars())),
            "org.apache.hadoop.test.MiniDFSClusterManager", *(["-format"] if fresh else []), "-datanodes", "1", "-nnport", str(self.port), "-httpport", str(self._http),
            "-writeDetails", str(told), *(part for name, value in settings.items() for part in ("-D", f"{name}={value}")),
        ]  # fmt: skip
        self._process = start_program(command, self.log, cwd=self.folder)
        until = time.monotonic() + _START_S
        while not told.exists():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError(f"HDFS did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            kill_program(self._process)
            self._process = None


def _jars() -> list[Path]:
    """Return the cluster's jars, and Spark's log4j, which they lack."""
    return [*program("hdfs"), *sorted((spark_home() / "jars").glob("log4j-[ac1]*.jar"))]


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsServer]:
    """The cluster of this test run."""
    if find_spec("hdfs_native") is None:
        pytest.skip("the client for HDFS is not installed: pip install 'caudal[hdfs]'")
    try:
        server = HdfsServer(tmp_path_factory.mktemp("hdfs"))
    except EnvironmentProblem as error:
        pytest.skip(f"no HDFS to be had: {error.what}")
    yield server
    server.stop()
