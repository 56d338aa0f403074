"""HDFS on loopback: a name node and a data node in Java processes of their own, asked by WebHDFS."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import requests

from caudal.spark.connectors import program
from caudal.spark.java import java_home
from caudal.spark.jvm import spark_home

_HDFS = "org.apache.hadoop.hdfs.server"
_SITE = """<configuration>
{properties}
</configuration>
"""


class Hdfs:
    """A cluster of one data node below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rpc, self.http, self._processes = _free_port(), _free_port(), []
        self._environment = {**os.environ, "HADOOP_USER_NAME": "caudal"}
        self._environment.pop("CLASSPATH", None)

    @property
    def address(self) -> str:
        """Where WebHDFS answers."""
        return f"127.0.0.1:{self.http}"

    def start(self) -> None:
        """Start both and wait until a file can be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = [_free_port() for _ in range(3)]
        properties = {
            "fs.defaultFS": f"hdfs://127.0.0.1:{self.rpc}",
            "dfs.namenode.http-address": self.address,
            "dfs.namenode.name.dir": f"file://{self.folder}/name",
            "dfs.datanode.data.dir": f"file://{self.folder}/data",
            "dfs.datanode.address": f"127.0.0.1:{ports[0]}",
            "dfs.datanode.http.address": f"127.0.0.1:{ports[1]}",
            "dfs.datanode.ipc.address": f"127.0.0.1:{ports[2]}",
            "dfs.datanode.hostname": "127.0.0.1",
            "dfs.replication": "1",
            "dfs.namenode.safemode.extension": "0",
        }
        said = "\n".join(f"<property><name>{name}</name><value>{value}</value></property>" for name, value in properties.items())
        for name in ("core-site.xml", "hdfs-site.xml"):
            (self.folder / name).write_text(_SITE.format(properties=said))
        self._java(f"{_HDFS}.namenode.NameNode", "-format", "-nonInteractive").wait(60)
        self._processes = [self._java(f"{_HDFS}.namenode.NameNode"), self._java(f"{_HDFS}.datanode.DataNode")]
        for _ in range(300):
            if any(one.poll() is not None for one in self._processes):
                break
            try:
                self.put("/ready", b"yes")
            except (OSError, requests.RequestException):
                time.sleep(0.2)
            else:
                return
        self.stop()
        raise RuntimeError(f"HDFS does not start:\n{(self.folder / 'log').read_text()[-3000:]}")

    def put(self, path: str, content: bytes) -> None:
        """Write a file."""
        asked = f"http://{self.address}/webhdfs/v1{path}?op=CREATE&overwrite=true&user.name=caudal"
        requests.put(asked, data=content, timeout=5).raise_for_status()

    def stop(self) -> None:
        """Kill both."""
        for one in self._processes:
            one.kill()
            one.wait()
        self._processes = []

    def _java(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        logging = sorted((spark_home() / "jars").glob("log4j-*.jar"))
        jars = os.pathsep.join(map(str, [self.folder, *program("hdfs"), *logging]))
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(java_home().java), "-Xmx256m", "-cp", jars, name, *arguments], stdout=log, stderr=log, env=self._environment
            )


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
