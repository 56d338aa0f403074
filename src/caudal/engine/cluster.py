"""A Spark cluster on one machine: a master and workers, each a Java process, on loopback or on hosts of their own, without a password.

It is for development and tests on a laptop, for example of a worker's death. A real cluster is configured by its address
(``CAUDAL_MASTER``), and this is not used then.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.request import urlopen

from caudal.engine import cds
from caudal.engine.connectors import SCALA
from caudal.engine.hosts import Hosts
from caudal.engine.java import PYSPARK_INSTALLED, java_home
from caudal.engine.jvm import brief_options, common_options, join_options, spark_class_path, spark_home
from caudal.engine.loopback import HOST, free_port, kill_program, start_program, stop_program
from caudal.errors import EnvironmentProblem

_PATIENCE_S = 60.0
_OPENED = (
    "java.lang",
    "java.lang.invoke",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "sun.nio.ch",
    "sun.security.action",
)
_HEAP = "256m"  # of the master and of each worker; executors have their own


class Cluster:
    """A master and ``workers`` workers.

    Parameters
    ----------
    folder : Path, for logs and executors' files
    workers : int, numbered from 0; each offers one core and runs one executor
    memory : str, of an executor
    hosts : that of each worker; without them all share loopback
    """

    def __init__(self, folder: Path, workers: int = 2, memory: str = "512m", hosts: Hosts | None = None) -> None:
        self.folder, self._memory, self._hosts = Path(folder).absolute(), memory, hosts
        self._own = HOST if hosts is None else hosts.own
        self._ports = _free_ports()
        self._master: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes] | None] = [None] * workers

    @property
    def address(self) -> str:
        """The value for ``CAUDAL_MASTER``."""
        return f"spark://{self._own}:{self._ports[0]}"

    @property
    def settings(self) -> Mapping[str, str]:
        """Further settings for Spark: executors as small as the workers, caudal's daemon of Python workers, and where these find the driver."""
        driver = {} if self._hosts is None else {"spark.driver.host": self._own, "spark.driver.bindAddress": self._own}
        daemon = {"spark.python.daemon.module": "caudal.engine.daemon"}
        return {"spark.executor.memory": self._memory, "spark.executor.cores": "1", **daemon, **driver}

    def pid(self, worker: int) -> int | None:
        """Return the process id of a worker, or None if it does not run."""
        process = self._workers[worker]
        return process.pid if process is not None and process.poll() is None else None

    def processes(self) -> list[int]:
        """Return the process ids of the master and of the workers that run."""
        return [process.pid for process in (self._master, *self._workers) if process is not None and process.poll() is None]

    def alive(self) -> int:
        """Return the number of workers that the master knows to be alive."""
        with urlopen(f"http://{self._own}:{self._ports[1]}/json/", timeout=5) as answer:
            return sum(worker["state"] == "ALIVE" for worker in json.load(answer)["workers"])

    def start(self) -> Cluster:
        """Start the processes that do not run, and wait until all answer; twice, since another program may have taken a port meanwhile.

        Raises
        ------
        EnvironmentProblem : a process ended or does not answer; its last output is quoted
        """
        begins = self._master is None
        try:
            return self._start()
        except EnvironmentProblem:
            if not begins:
                raise
            self._ports = _free_ports()
            return self._start()

    def _start(self) -> Cluster:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            if self._master is None or self._master.poll() is not None:
                host, (port, page) = ("--host", self._own), map(str, self._ports)
                self._master = self._launch("master", "master.Master", None, *host, "--port", port, "--webui-port", page)
            for number in range(len(self._workers)):
                self.start_worker(number, wait=False)
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def start_worker(self, number: int, *, wait: bool = True) -> None:
        """Start a worker, unless it runs."""
        if self.pid(number) is not None:
            return
        folder = self.folder / f"worker-{number}"
        place_options = ("--work-dir", str(folder), "--host", self._address(number), "--webui-port", "0")
        memory = f"{_bytes(self._memory) // 2**20 + 512}m"  # an executor takes more than its heap
        self._workers[number] = self._launch(
            f"worker-{number}", "worker.Worker", number, *place_options, "--cores", "1", "--memory", memory, self.address
        )
        if wait:
            self._wait()

    def kill_worker(self, number: int) -> None:
        """Kill a worker and its executors, as a power cut would."""
        if (process := self._workers[number]) is not None:
            kill_program(process)
        self._workers[number] = None

    def stop(self) -> None:
        """Stop all processes."""
        for process in (*self._workers, self._master):
            if process is not None:
                stop_program(process, 10.0)
        self._workers, self._master = [None] * len(self._workers), None

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _address(self, worker: int | None) -> str:
        return self._own if self._hosts is None or worker is None else self._hosts.address(worker)

    def _launch(self, name: str, main: str, worker: int | None, *arguments: str) -> subprocess.Popen[bytes]:
        java = java_home(on_cluster=True)  # that of a session whose master this is
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
        options = [f"-Xmx{_HEAP}", *brief_options(), "-Xshare:auto", *opened, *common_options(java)]
        command = [str(java.launcher), *options, "-cp", spark_class_path(), f"org.apache.spark.deploy.{main}", *arguments]
        environment = {
            **os.environ, "SPARK_HOME": str(spark_home()), "JAVA_HOME": str(java.path), "SPARK_LOCAL_IP": self._address(worker),
            "SPARK_LOCAL_DIRS": str(self.folder / "scratch"), "SPARK_SCALA_VERSION": SCALA,
            PYSPARK_INSTALLED: "yes",
        }  # fmt: skip
        # Executors, which a worker starts in its environment, map the archive too.
        if archive := cds.use(java, cds.archive_file(java)):
            environment["JDK_JAVA_OPTIONS"] = f"{os.environ.get('JDK_JAVA_OPTIONS', '')} {join_options(archive)}".strip()
        if self._hosts is not None and worker is not None:
            command = self._hosts.within(worker, command)
        return start_program(command, self.folder / f"{name}.log", cwd=self.folder, environment=environment)

    def _wait(self) -> None:
        until = time.monotonic() + _PATIENCE_S
        processes = {f"worker-{number}": worker for number, worker in enumerate(self._workers) if worker is not None} | {
            "master": self._master
        }
        while time.monotonic() < until:
            for name, process in processes.items():
                if process is None or process.poll() is not None:
                    raise self._problem(name, "ended")
            try:
                if self.alive() >= len(processes) - 1:
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.1)
        raise self._problem("master", "does not answer, or lacks a worker")

    def _problem(self, name: str, state: str) -> EnvironmentProblem:
        log = self.folder / f"{name}.log"
        last_lines = log.read_text(errors="replace").strip().splitlines()[-5:]
        return EnvironmentProblem(
            f"Spark's {name} {state}. Its last output: {' | '.join(last_lines) or 'none'}",
            fix=f"Its complete output is in '{log}'.",
        )


def _free_ports() -> tuple[int, int]:
    """Return free ports for the master and for its page."""
    port, page = free_port(), free_port()
    return (port, page) if page != port else _free_ports()


def _bytes(memory: str) -> int:
    return int(memory[:-1]) << {"k": 10, "m": 20, "g": 30}[memory[-1].lower()]
