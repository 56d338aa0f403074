"""Spark's history server over some event logs, on this machine only and for as long as it is needed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from caudal.engine.connectors import SCALA
from caudal.engine.java import java_home
from caudal.engine.jvm import common_options, spark_home
from caudal.engine.loopback import HOST, free_port, start_program, stop_program
from caudal.errors import EnvironmentProblem

_PATIENCE_S = 60.0


@contextmanager
def history_server(logs: Path, applications: int, work: Path) -> Iterator[str]:
    """Give the address of a history server that has read all event logs of a folder.

    Parameters
    ----------
    logs : folder of the logs
    applications : how many there are
    work : folder for its output

    Raises
    ------
    EnvironmentProblem : it ended, or did not read the logs within a minute; its last output is quoted
    """
    java, port = java_home(on_cluster=True), free_port()
    settings = {
        "spark.history.fs.logDirectory": logs.absolute().as_uri(), "spark.history.ui.port": str(port), "spark.history.fs.update.interval": "1s",
        "spark.history.fs.cleaner.enabled": "false", "spark.history.retainedApplications": str(max(applications, 1)),
    }  # fmt: skip
    options = [
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-Xshare:auto",
        *common_options(java),
        *(f"-D{name}={value}" for name, value in settings.items()),
    ]
    command = [str(java.java), *options, "-cp", str(spark_home() / "jars" / "*"), "org.apache.spark.deploy.history.HistoryServer"]
    environment = {
        **os.environ, "SPARK_HOME": str(spark_home()), "JAVA_HOME": str(java.path), "SPARK_LOCAL_IP": HOST, "SPARK_SCALA_VERSION": SCALA,
    }  # fmt: skip
    output = work / "history-server.log"
    process = start_program(command, output, cwd=work, environment=environment)
    try:
        until = time.monotonic() + _PATIENCE_S
        while _applications(f"http://{HOST}:{port}") < applications:
            if process.poll() is not None or time.monotonic() > until:
                last = output.read_text(errors="replace").strip().splitlines()[-5:]
                state = "ended" if process.poll() is not None else "did not read the event logs"
                raise EnvironmentProblem(f"Spark's history server {state}. Its last output: {' | '.join(last) or 'none'}")
            time.sleep(0.2)
        yield f"http://{HOST}:{port}"
    finally:
        stop_program(process, 10.0)


def _applications(address: str) -> int:
    try:
        with urlopen(f"{address}/api/v1/applications", timeout=5) as answer:
            return len(json.load(answer))
    except (OSError, ValueError):  # it is starting
        return 0
